using System.IO;
using ScottPlot;
using SkiaSharp;

namespace Dho2.Cli.Pictures;

/// <summary>The letters of pictures: the tool brings them, so that pictures have letters where no font is installed, and look the same everywhere.</summary>
internal sealed class EmbeddedFont : IFontResolver
{
    private const string Name = "DejaVu Sans";

    private readonly SKTypeface typeface;

    private EmbeddedFont()
    {
        using Stream font = typeof(EmbeddedFont).Assembly.GetManifestResourceStream("DejaVuSans.ttf")!;
        typeface = SKTypeface.FromStream(font);
    }

    /// <summary>Makes it the font of everything that is drawn from now on.</summary>
    public static void Use()
    {
        if (Fonts.Default != Name || Fonts.FontResolvers is not [EmbeddedFont])
        {
            Fonts.FontResolvers.Clear();
            Fonts.FontResolvers.Add(new EmbeddedFont());
            Fonts.Default = Name;
        }
    }

    /// <inheritdoc/>
    public SKTypeface CreateTypeface(string fontName, FontWeight weight, FontSlant slant, FontSpacing spacing) => typeface;

    /// <inheritdoc/>
    public SKTypeface CreateTypeface(string fontName, bool bold, bool italic) => typeface;
}
