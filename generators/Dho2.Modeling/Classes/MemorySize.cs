using System;
using System.Globalization;

namespace Dho2.Modeling;

/// <summary>Sizes of memory as attributes state them: a number and a binary unit, such as <c>24 GiB</c>.</summary>
public static class MemorySize
{
    private static readonly string[] Units = ["B", "KiB", "MiB", "GiB", "TiB"];

    /// <summary>The number of bytes; null where the text is none.</summary>
    /// <param name="text">The text.</param>
    public static long? Parse(string text)
    {
        string trimmed = text.Trim();
        int end = 0;
        while (end < trimmed.Length && (char.IsDigit(trimmed[end]) || trimmed[end] == '.'))
        {
            end++;
        }

        int unit = Array.IndexOf(Units, trimmed.Substring(end).Trim());
        if (unit < 0
            || !double.TryParse(trimmed.Substring(0, end), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double number))
        {
            return null;
        }

        double bytes = number * Math.Pow(1024, unit);
        return bytes is >= 1 and < long.MaxValue ? (long)bytes : null;
    }
}
