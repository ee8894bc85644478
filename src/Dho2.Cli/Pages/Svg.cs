using System.Globalization;
using System.Net;
using System.Text;

namespace Dho2.Cli.Pages;

/// <summary>Writes the elements of an SVG picture.</summary>
internal sealed class Svg
{
    private readonly StringBuilder text = new();

    /// <summary>A rectangle, with a tooltip if there is one.</summary>
    public void Box(double x, double y, double width, double height, string fill, string? stroke = null, string? tooltip = null, double corner = 0)
    {
        text.Append($"<rect x=\"{Number(x)}\" y=\"{Number(y)}\" width=\"{Number(width)}\" height=\"{Number(height)}\" fill=\"{fill}\"");
        if (stroke is not null)
        {
            text.Append($" stroke=\"{stroke}\"");
        }

        if (corner > 0)
        {
            text.Append($" rx=\"{Number(corner)}\"");
        }

        text.Append(tooltip is null ? "/>\n" : $"><title>{Escape(tooltip)}</title></rect>\n");
    }

    /// <summary>A line of text.</summary>
    public void Text(double x, double y, string content, string anchor = "start", bool bold = false, double size = 12, string fill = "#222") =>
        text.Append($"<text x=\"{Number(x)}\" y=\"{Number(y)}\" text-anchor=\"{anchor}\" font-size=\"{Number(size)}\" fill=\"{fill}\"{(bold ? " font-weight=\"bold\"" : "")}>{Escape(content)}</text>\n");

    /// <summary>A straight line, with an arrow's head if it is one.</summary>
    public void Line(double x1, double y1, double x2, double y2, string stroke, bool arrow = false, bool dashed = false) =>
        text.Append($"<line x1=\"{Number(x1)}\" y1=\"{Number(y1)}\" x2=\"{Number(x2)}\" y2=\"{Number(y2)}\" stroke=\"{stroke}\" stroke-width=\"1.5\"{(arrow ? " marker-end=\"url(#arrow)\"" : "")}{(dashed ? " stroke-dasharray=\"4 3\"" : "")}/>\n");

    /// <summary>A line along a path.</summary>
    public void Path(string path, string stroke, double width, bool dashed = false, double opacity = 1, string? cssClass = null) =>
        text.Append($"<path d=\"{path}\" fill=\"none\" stroke=\"{stroke}\" stroke-width=\"{Number(width)}\" stroke-linejoin=\"round\"{(dashed ? " stroke-dasharray=\"4 3\"" : "")}{(opacity < 1 ? $" opacity=\"{Number(opacity)}\"" : "")}{(cssClass is null ? "" : $" class=\"{cssClass}\"")}/>\n");

    /// <summary>A point with a tooltip.</summary>
    public void Dot(double x, double y, double radius, string fill, string tooltip) =>
        text.Append($"<circle cx=\"{Number(x)}\" cy=\"{Number(y)}\" r=\"{Number(radius)}\" fill=\"{fill}\"><title>{Escape(tooltip)}</title></circle>\n");

    /// <summary>The picture.</summary>
    /// <param name="width">Its width.</param>
    /// <param name="height">Its height.</param>
    /// <param name="title">What it shows, for those who do not see it.</param>
    public string Write(double width, double height, string title) =>
        $"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {Number(width)} {Number(height)}\" width=\"{Number(width)}\" height=\"{Number(height)}\" role=\"img\" aria-label=\"{Escape(title)}\" font-family=\"system-ui, sans-serif\">\n"
        + $"<title>{Escape(title)}</title>\n"
        + "<defs><marker id=\"arrow\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0 L10 5 L0 10 z\" fill=\"#555\"/></marker></defs>\n"
        + $"<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{text}</svg>\n";

    /// <summary>Text that may stand in an element or an attribute.</summary>
    public static string Escape(string content) => WebUtility.HtmlEncode(content);

    /// <summary>A coordinate, to a hundredth of a pixel.</summary>
    public static string Number(double value) => value.ToString("0.##", CultureInfo.InvariantCulture);
}
