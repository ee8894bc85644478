using System;
using System.Collections.Generic;
using System.Linq;
using System.Text;

namespace Dho2.Cli.Pages;

/// <summary>Writes pages that need nothing else, no script, no font, no picture from elsewhere, and fit any width of screen in light and dark.</summary>
internal static class HtmlPage
{
    private const string Style = """
        :root { color-scheme: light dark; --text: #1d1d1f; --soft: #5c5c61; --line: #d8d8dc; --back: #fff; --card: #f7f7f8; --bad: #c00; }
        @media (prefers-color-scheme: dark) { :root { --text: #ececee; --soft: #a5a5ab; --line: #46464b; --back: #1b1b1d; --card: #252528; --bad: #ff6b6b; } }
        * { box-sizing: border-box; }
        body { margin: 0 auto; padding: 1rem; max-width: 72rem; font: 1rem/1.5 system-ui, sans-serif; color: var(--text); background: var(--back); }
        h1 { font-size: 1.5rem; overflow-wrap: anywhere; } h2 { font-size: 1.15rem; margin-top: 2rem; } h3 { font-size: 1rem; margin: 0; }
        dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; } dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
        .bar { position: relative; display: flex; height: 1.25rem; margin: .5rem 0; border: 1px solid var(--line); border-radius: .25rem; overflow: hidden; background: var(--back); }
        .bar span { height: 100%; } .over { color: var(--bad); font-weight: 600; }
        .key { flex: none; width: .7rem; height: .7rem; border-radius: .15rem; }
        .wide { overflow-x: auto; } .wide svg { min-width: 44rem; width: 100%; height: auto; }
        table { border-collapse: collapse; font-size: .9rem; } th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; } th { color: var(--soft); font-weight: 600; }
        footer { margin-top: 2rem; color: var(--soft); font-size: .85rem; }
        @media (max-width: 36rem) { dl { grid-template-columns: 1fr; } dd { margin-bottom: .4rem; } }
        """;

    /// <summary>Begins a page.</summary>
    /// <param name="title">Its title.</param>
    /// <param name="style">What its own elements look like.</param>
    public static StringBuilder Begin(string title, string style) => new(
        $"<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{Svg.Escape(title)}</title>\n<style>\n{Style}\n{style}\n</style>\n</head>\n<body>\n");

    /// <summary>Ends a page.</summary>
    /// <param name="page">The page.</param>
    /// <param name="footer">What stands below it, as HTML.</param>
    public static string End(StringBuilder page, string footer) => page.Append($"<footer>{footer}</footer>\n</body>\n</html>\n").ToString();

    /// <summary>Names and values.</summary>
    public static void Facts(StringBuilder page, IEnumerable<(string Name, string Value)> facts)
    {
        page.Append("<dl>\n");
        foreach ((string name, string value) in facts)
        {
            page.Append($"<dt>{Svg.Escape(name)}</dt><dd>{Svg.Escape(value)}</dd>\n");
        }

        page.Append("</dl>\n");
    }

    /// <summary>A bar of parts beside each other.</summary>
    /// <param name="page">The page.</param>
    /// <param name="tooltip">What it shows.</param>
    /// <param name="parts">Each part's share of the bar, its colour and its tooltip.</param>
    public static void Bar(StringBuilder page, string tooltip, IEnumerable<(double Share, string Colour, string Tooltip)> parts)
    {
        page.Append($"<div class=\"bar\" title=\"{Svg.Escape(tooltip)}\">");
        foreach ((double share, string colour, string text) in parts)
        {
            page.Append(FormattableString.Invariant($"<span style=\"width:{100 * share:0.###}%;background:{colour}\" title=\"{Svg.Escape(text)}\"></span>"));
        }

        page.Append("</div>\n");
    }

    /// <summary>A table that scrolls by itself where the screen is narrower.</summary>
    /// <param name="page">The page.</param>
    /// <param name="columns">The headings.</param>
    /// <param name="rows">Cells, and whether something is wrong with the row.</param>
    public static void Table(StringBuilder page, IEnumerable<string> columns, IEnumerable<(IEnumerable<string> Cells, bool Wrong)> rows)
    {
        page.Append($"<div class=\"wide\" tabindex=\"0\"><table>\n<tr>{string.Concat(columns.Select(c => $"<th>{Svg.Escape(c)}</th>"))}</tr>\n");
        foreach ((IEnumerable<string> cells, bool wrong) in rows)
        {
            page.Append($"<tr{(wrong ? " class=\"over\"" : "")}>{string.Concat(cells.Select(cell => $"<td>{Svg.Escape(cell)}</td>"))}</tr>\n");
        }

        page.Append("</table></div>\n");
    }
}
