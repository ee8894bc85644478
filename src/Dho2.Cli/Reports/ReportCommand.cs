using System.Collections.Generic;
using System.CommandLine;
using System.IO;
using System.Linq;
using Dho2.Cli.Pages;
using Dho2.Cli.Pictures;
using Dho2.Records;
using Spectre.Console;

namespace Dho2.Cli.Reports;

/// <summary><c>dho2 report</c>: how a run went, from the record that it wrote.</summary>
internal static class ReportCommand
{
    private const string DefaultName = "report.html";

    /// <summary>Describes the command.</summary>
    /// <param name="terminal">Where its results go.</param>
    public static Command Create(Terminal terminal)
    {
        var run = new Argument<string>("run") { Description = "The folder of a run's record: TrainingOptions.Record, or a sample's --record. The run may still go on." };
        var output = new Option<string?>("--output", "-o") { Description = $"Where the page goes; {DefaultName} in the run's folder if not given.", HelpName = "file" };
        var trace = new Option<string?>("--trace") { Description = "Write what all ranks did in the traced steps as one file for chrome://tracing or Perfetto.", HelpName = "file" };
        var tensorBoard = new Option<string?>("--tensorboard") { Description = "Write an event file of TensorBoard with all losses, eigenvalues, residuals and the memory.", HelpName = "folder" };
        var png = new Option<string?>("--png") { Description = "Write the figures as PNG files, one for each.", HelpName = "folder" };
        var command = new Command("report", "Shows how a run went, as one page: losses, eigenvalues, residuals, memory planned and measured, what each rank did. Ends with 1 if the record is damaged.")
        {
            run, output, trace, tensorBoard, png,
        };
        command.SetAction(parsed => Run(
            terminal, parsed.GetRequiredValue(run), new ReportOutputs(parsed.GetValue(output), parsed.GetValue(trace), parsed.GetValue(tensorBoard), parsed.GetValue(png))));
        return command;
    }

    private static int Run(Terminal terminal, string folder, ReportOutputs outputs)
    {
        RunRecord record = RunRecord.Open(folder);
        if (outputs.Trace is { } trace)
        {
            (record.Trace ?? throw new RecordException(folder, "it has no trace: no step after the first two is complete, or RecordOptions.TraceSteps is 0.")).Write(trace);
        }

        if (outputs.TensorBoard is { } tensorBoard)
        {
            TensorBoardExport.Write(record, tensorBoard);
        }

        IReadOnlyList<string>? pictures = outputs.Png is { } png ? RunPictures.Write(record, png) : null;
        string page = outputs.Html ?? Path.Combine(folder, DefaultName);
        File.WriteAllText(page, ReportPage.Write(record));
        var facts = new Grid().AddColumn(new GridColumn().NoWrap().PadRight(2)).AddColumn();
        foreach ((string name, string value) in RunFacts.Of(record).Append(("report", page)))
        {
            facts.AddRow(new Text(name), new Text(value));
        }

        if (pictures is not null)
        {
            facts.AddRow(new Text("pictures"), new Text($"{Quantity.Count(pictures.Count, "file")} in {outputs.Png}"));
        }

        terminal.Console.Write(facts);
        return ExitCode.Success;
    }
}

/// <summary>What <c>dho2 report</c> is to make.</summary>
/// <param name="Html">Where the page goes; null for the run's folder.</param>
/// <param name="Trace">Where the trace of all ranks goes; null for nowhere.</param>
/// <param name="TensorBoard">The folder of the event file; null for none.</param>
/// <param name="Png">The folder of pictures; null for none.</param>
internal sealed record ReportOutputs(string? Html, string? Trace, string? TensorBoard, string? Png);
