using System;
using System.Globalization;

namespace Dho2.Cli.Pages;

/// <summary>Numbers as people read them, the same everywhere.</summary>
internal static class Quantity
{
    /// <summary>A whole number with separators; a word where it is not known.</summary>
    public static string Whole(long? number) => number is { } known ? known.ToString("#,0", CultureInfo.InvariantCulture) : "unknown";

    /// <summary>A large number with a decimal prefix, such as <c>3.1 G</c>.</summary>
    public static string Scaled(double? number)
    {
        if (number is not { } value)
        {
            return "unknown";
        }

        string[] prefixes = ["", "k", "M", "G", "T", "P", "E"];
        int prefix = 0;
        for (; value >= 1000 && prefix < prefixes.Length - 1; prefix++)
        {
            value /= 1000;
        }

        return (value.ToString(value >= 100 || prefix == 0 ? "0" : value >= 10 ? "0.#" : "0.##", CultureInfo.InvariantCulture) + " " + prefixes[prefix]).TrimEnd();
    }

    /// <summary>A time in the unit that suits it.</summary>
    public static string Time(long picoseconds) => picoseconds switch
    {
        >= 1_000_000_000_000 => Text(picoseconds / 1e12, "s"),
        >= 1_000_000_000 => Text(picoseconds / 1e9, "ms"),
        >= 1_000_000 => Text(picoseconds / 1e6, "µs"),
        _ => Text(picoseconds / 1e3, "ns"),
    };

    /// <summary>A time in the unit that suits it.</summary>
    public static string Time(TimeSpan time) => time switch
    {
        { TotalHours: >= 1 } => $"{(int)time.TotalHours} h {time.Minutes} min",
        { TotalMinutes: >= 1 } => $"{time.Minutes} min {time.Seconds} s",
        _ => Time((long)(time.TotalSeconds * 1e12)),
    };

    /// <summary>A number beside an axis: with a prefix from ten thousand on.</summary>
    public static string Axis(double value) => Math.Abs(value) >= 10_000 ? Scaled(value) : value.ToString("G4", CultureInfo.InvariantCulture);

    /// <summary>A share in percent.</summary>
    public static string Percent(double share) => (100 * share).ToString("0.0", CultureInfo.InvariantCulture) + " %";

    /// <summary>A count of things.</summary>
    public static string Count(int number, string what) => string.Create(CultureInfo.InvariantCulture, $"{number:#,0} {what}{(number == 1 ? "" : "s")}");

    private static string Text(double value, string unit) =>
        value.ToString(value >= 100 ? "0" : value >= 10 ? "0.0" : "0.00", CultureInfo.InvariantCulture) + " " + unit;
}
