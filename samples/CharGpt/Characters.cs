using System;
using System.IO;
using System.Linq;

namespace CharGptSample;

/// <summary>Numbers for characters: the printable ones of ASCII and the line feed.</summary>
public static class Characters
{
    /// <summary>How many there are.</summary>
    public const int Count = Last - First + 2;

    private const char First = ' ';
    private const char Last = '~';
    private const int LineFeed = Count - 1;

    /// <summary>The numbers of a text's characters; carriage returns are left out.</summary>
    /// <exception cref="InvalidDataException">A character is not printable ASCII.</exception>
    public static long[] Encode(string text, string name)
    {
        string plain = text.Replace("\r", "", StringComparison.Ordinal);
        int wrong = plain.AsSpan().IndexOfAnyExcept(Printable);
        if (wrong >= 0)
        {
            int line = plain.AsSpan(0, wrong).Count('\n') + 1;
            throw new InvalidDataException($"{name}, line {line}: character U+{(int)plain[wrong]:X4}, expected printable ASCII.");
        }

        return [.. plain.Select(c => (long)(c == '\n' ? LineFeed : c - First))];
    }

    /// <summary>The character of a number.</summary>
    public static char Decode(long number) => number == LineFeed ? '\n' : (char)(First + number);

    private static readonly System.Buffers.SearchValues<char> Printable =
        System.Buffers.SearchValues.Create([.. Enumerable.Range(First, Last - First + 1).Select(c => (char)c), '\n']);
}
