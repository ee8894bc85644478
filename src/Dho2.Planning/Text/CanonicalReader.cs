using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;

namespace Dho2.Planning;

/// <summary>Reads what <see cref="CanonicalWriter"/> writes. Everything else is a <see cref="FormatException"/> that names the offset.</summary>
internal sealed class CanonicalReader
{
    // Deeper than any model, and shallow enough for the stack of every thread.
    private const int MaxDepth = 256;

    private readonly string text;
    private int at;
    private int depth;

    public CanonicalReader(string text) => this.text = text;

    public FormatException Damaged(string expected) => DamagedAt(at, expected);

    /// <summary>Whether the next element begins with the character; does not read it.</summary>
    public bool IsNext(char c)
    {
        SkipSpace();
        return at < text.Length && text[at] == c;
    }

    public void Expect(char c)
    {
        if (!IsNext(c))
        {
            throw Damaged($"'{c}'");
        }

        at++;
    }

    public void End()
    {
        SkipSpace();
        if (at < text.Length)
        {
            throw Damaged("the end of the text");
        }
    }

    /// <summary>Reads a list of elements between brackets.</summary>
    public List<T> List<T>(char open, char close, Func<CanonicalReader, T> element)
    {
        var items = new List<T>();
        if (++depth > MaxDepth)
        {
            throw Damaged($"at most {MaxDepth} nested lists");
        }

        Expect(open);
        if (!IsNext(close))
        {
            items.Add(element(this));
            while (IsNext(','))
            {
                at++;
                items.Add(element(this));
            }
        }

        Expect(close);
        depth--;
        return items;
    }

    public EquatableArray<T> Array<T>(Func<CanonicalReader, T> element) => List('[', ']', element).ToEquatableArray();

    /// <summary>Reads the next member's name, which must be the given one, with the comma before it unless it is the first.</summary>
    public CanonicalReader Member(string name, bool isFirst = false)
    {
        if (!isFirst)
        {
            Expect(',');
        }

        SkipSpace();
        int start = at;
        if (Text() != name)
        {
            throw DamagedAt(start, $"\"{name}\"");
        }

        Expect(':');
        return this;
    }

    /// <summary>Reads the next member's name if it is the given one: some members are written only where they say something.</summary>
    public bool TryMember(string name)
    {
        int before = at;
        if (!IsNext(','))
        {
            return false;
        }

        at++;
        SkipSpace();
        string quoted = "\"" + name + "\"";
        if (string.CompareOrdinal(text, at, quoted, 0, quoted.Length) != 0)
        {
            at = before;
            return false;
        }

        at += quoted.Length;
        Expect(':');
        return true;
    }

    public bool TryNull()
    {
        SkipSpace();
        if (string.CompareOrdinal(text, at, "null", 0, 4) != 0)
        {
            return false;
        }

        at += 4;
        return true;
    }

    public long Integer()
    {
        string token = Token();
        return long.TryParse(token, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long value)
            ? value
            : throw DamagedAt(at - token.Length, "an integer");
    }

    public int Integer32()
    {
        int start = at;
        long value = Integer();
        return value is >= int.MinValue and <= int.MaxValue ? (int)value : throw DamagedAt(start, "a 32-bit integer");
    }

    public long? OptionalInteger() => TryNull() ? null : Integer();

    public int? OptionalInteger32() => TryNull() ? null : Integer32();

    public double Number()
    {
        string token = Token();
        return ParseNumber(token) ?? throw DamagedAt(at - token.Length, "a number");
    }

    public bool Boolean()
    {
        string token = Token();
        return token switch
        {
            "true" => true,
            "false" => false,
            _ => throw DamagedAt(at - token.Length, "true or false"),
        };
    }

    public T Enumeration<T>()
        where T : struct
    {
        SkipSpace();
        int start = at;
        string name = Text();
        return Enum.TryParse(name, ignoreCase: false, out T value) && name == value.ToString()
            ? value
            : throw DamagedAt(start, $"the name of a {typeof(T).Name}");
    }

    public string? OptionalText() => TryNull() ? null : Text();

    public string Text()
    {
        Expect('"');
        var value = new StringBuilder();
        while (at < text.Length && text[at] != '"')
        {
            value.Append(text[at] == '\\' ? Escaped() : text[at++]);
        }

        if (at == text.Length)
        {
            throw Damaged("'\"'");
        }

        at++;
        return value.ToString();
    }

    /// <summary>Reads the characters of a number or word.</summary>
    public string Token()
    {
        SkipSpace();
        int start = at;
        while (at < text.Length && (char.IsLetterOrDigit(text[at]) || text[at] is '+' or '-' or '.'))
        {
            at++;
        }

        return text.Substring(start, at - start);
    }

    public static double? ParseNumber(string token) => token switch
    {
        "NaN" => double.NaN,
        "Infinity" => double.PositiveInfinity,
        "-Infinity" => double.NegativeInfinity,
        "-0.0" => BitConverter.Int64BitsToDouble(long.MinValue),
        _ => double.TryParse(token, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) ? value : null,
    };

    public FormatException DamagedBefore(int length, string expected) => DamagedAt(at - length, expected);

    private FormatException DamagedAt(int offset, string expected)
    {
        string found = offset >= text.Length ? "the end" : $"\"{text.Substring(offset, Math.Min(16, text.Length - offset))}\"";
        return new FormatException(string.Format(
            CultureInfo.InvariantCulture, "Damaged description at offset {0}: expected {1}, found {2}.", offset, expected, found));
    }

    private char Escaped()
    {
        int start = at;
        at += 2;
        switch (start + 1 < text.Length ? text[start + 1] : '\0')
        {
            case '"':
                return '"';
            case '\\':
                return '\\';
            case 'n':
                return '\n';
            case 'u' when at + 4 <= text.Length &&
                ushort.TryParse(text.Substring(at, 4), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ushort code):
                at += 4;
                return (char)code;
            default:
                throw DamagedAt(start, "an escape sequence");
        }
    }

    private void SkipSpace()
    {
        while (at < text.Length && text[at] is ' ' or '\n' or '\r' or '\t')
        {
            at++;
        }
    }
}
