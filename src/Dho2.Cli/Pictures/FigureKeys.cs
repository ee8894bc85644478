using System.Collections.Generic;
using System.Linq;
using ScottPlot;

namespace Dho2.Cli.Pictures;

/// <summary>What the colours of a figure mean.</summary>
internal static class FigureKeys
{
    /// <summary>Writes them below the figure.</summary>
    public static void Show(Plot plot, IEnumerable<(string Name, string Colour)> keys)
    {
        plot.Legend.ManualItems.AddRange(keys.Select(key => new LegendItem { LabelText = key.Name, FillColor = Color.FromHex(key.Colour), LineWidth = 0, MarkerSize = 0 }));
        plot.ShowLegend(Edge.Bottom).Legend.Orientation = Orientation.Horizontal;
    }
}
