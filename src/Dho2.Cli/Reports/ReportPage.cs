using System.Collections.Generic;
using System.Linq;
using System.Text;
using Dho2.Cli.Pages;
using Dho2.Planning;
using Dho2.Records;

namespace Dho2.Cli.Reports;

/// <summary>Writes how a run went as one page that needs nothing else.</summary>
internal static class ReportPage
{
    private const string Style = """
        .process { margin: .75rem 0; } .shares { margin-top: .5rem; } .line { margin: 1rem 0 .25rem; } .wide table { margin: .75rem 0; }
        details { margin-top: 2rem; } summary { font-weight: 600; cursor: pointer; }
        """;

    /// <summary>Writes the page.</summary>
    public static string Write(RunRecord record)
    {
        StringBuilder page = HtmlPage.Begin($"Run of {record.Manifest.Model}", Chart.Style + "\n" + Style);
        page.Append($"<h1>Run of {Svg.Escape(record.Manifest.Model)}</h1>\n");
        HtmlPage.Facts(page, RunFacts.Of(record).Skip(1));
        new RunCharts(record).Write(page);
        RankTimeLine.Write(page, record);
        MemorySection.Write(page, record);
        WriteTraffic(page, record);
        page.Append("<h2>Setup</h2>\n");
        HtmlPage.Facts(page, RunFacts.SetupOf(record));
        return HtmlPage.End(page, "Made by <code>dho2 report</code> from what the run wrote down.");
    }

    private static void WriteTraffic(StringBuilder page, RunRecord record)
    {
        page.Append("<h2>Bytes sent</h2>\n");
        HtmlPage.Table(page, ["rank", "sent", "the plan says", ""], record.Manifest.Ranks.Where(r => r.Trains).Select(rank =>
        {
            RankEntry? last = record.LastOf(rank.Rank);
            string[] cells =
            [
                $"{rank.Rank}",
                last is null ? "not recorded" : PlanReport.FormatBytes(last.Sent),
                last is null ? "" : PlanReport.FormatBytes(last.PredictedSent),
                last?.PredictedSent is > 0 and { } predicted ? Quantity.Percent((double)last.Sent / predicted) : "",
            ];
            return ((IEnumerable<string>)cells, false);
        }));
    }
}
