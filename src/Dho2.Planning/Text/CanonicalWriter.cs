using System;
using System.Globalization;
using System.Text;

namespace Dho2.Planning;

/// <summary>
/// Writes the JSON subset of canonical texts: no insignificant choices, so that equal values give equal characters on
/// every host and in every culture.
/// </summary>
internal sealed class CanonicalWriter
{
    private readonly StringBuilder text = new();
    private bool first = true;

    public CanonicalWriter Begin(char bracket)
    {
        Separate();
        text.Append(bracket);
        first = true;
        return this;
    }

    public CanonicalWriter End(char bracket)
    {
        text.Append(bracket);
        first = false;
        return this;
    }

    /// <summary>Begins a new line before the next element: for the reader's sake, always at the same places.</summary>
    public CanonicalWriter Line()
    {
        if (!first)
        {
            text.Append(',');
        }

        text.Append('\n');
        first = true;
        return this;
    }

    public CanonicalWriter Name(string name)
    {
        Separate();
        Quote(name);
        text.Append(':');
        first = true;
        return this;
    }

    public CanonicalWriter Integer(long value)
    {
        Separate();
        text.Append(value.ToString(CultureInfo.InvariantCulture));
        return this;
    }

    public CanonicalWriter Integer(long? value) => value is { } number ? Integer(number) : Null();

    /// <summary>Writes a number that is told from an integer by its point, exponent or name.</summary>
    public CanonicalWriter Number(double value)
    {
        Separate();
        text.Append(Format(value));
        return this;
    }

    public CanonicalWriter Boolean(bool value)
    {
        Separate();
        text.Append(value ? "true" : "false");
        return this;
    }

    public CanonicalWriter Text(string? value)
    {
        if (value is null)
        {
            return Null();
        }

        Separate();
        Quote(value);
        return this;
    }

    public CanonicalWriter Null()
    {
        Separate();
        text.Append("null");
        return this;
    }

    public override string ToString() => text.ToString();

    /// <summary>The fewest of 15, 16 or 17 digits that give the same number back: the shortest form differs between runtimes.</summary>
    public static string Format(double value)
    {
        if (double.IsNaN(value))
        {
            return "NaN";
        }

        if (double.IsInfinity(value))
        {
            return value > 0 ? "Infinity" : "-Infinity";
        }

        if (value == 0)
        {
            return BitConverter.DoubleToInt64Bits(value) < 0 ? "-0.0" : "0.0";
        }

        string digits = value.ToString("G17", CultureInfo.InvariantCulture);
        foreach (string format in new[] { "G15", "G16" })
        {
            string shorter = value.ToString(format, CultureInfo.InvariantCulture);
            if (double.TryParse(shorter, NumberStyles.Float, CultureInfo.InvariantCulture, out double back) && back == value)
            {
                digits = shorter;
                break;
            }
        }

        return digits.IndexOf('.') < 0 && digits.IndexOf('E') < 0 ? digits + ".0" : digits;
    }

    private void Separate()
    {
        if (!first)
        {
            text.Append(',');
        }

        first = false;
    }

    private void Quote(string value)
    {
        text.Append('"');
        foreach (char c in value)
        {
            switch (c)
            {
                case '"' or '\\':
                    text.Append('\\').Append(c);
                    break;
                case '\n':
                    text.Append("\\n");
                    break;

                // Lone surrogates would not survive an encoding, and control characters no file.
                case < ' ' or (>= '\u007f' and <= '\u009f') or (>= '\ud800' and <= '\udfff') or '\u2028' or '\u2029':
                    text.Append("\\u").Append(((int)c).ToString("x4", CultureInfo.InvariantCulture));
                    break;
                default:
                    text.Append(c);
                    break;
            }
        }

        text.Append('"');
    }
}
