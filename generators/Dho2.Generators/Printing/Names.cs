using System.Collections.Generic;
using Microsoft.CodeAnalysis.CSharp;

namespace Dho2.Generators;

/// <summary>Identifiers in generated code.</summary>
internal static class Names
{
    /// <summary>A name as it is written: reserved words get an @.</summary>
    public static string Escape(string name) =>
        SyntaxFacts.GetKeywordKind(name) == SyntaxKind.None ? name : "@" + name;

    /// <summary>A name that is not taken, made from a wanted one; it is taken afterwards.</summary>
    public static string Free(string wanted, ISet<string> taken)
    {
        string name = wanted;
        for (int i = 2; !taken.Add(name); i++)
        {
            name = wanted + i;
        }

        return name;
    }

    /// <summary>A text inside an XML documentation comment.</summary>
    public static string Xml(string text) => text.Replace("&", "&amp;").Replace("<", "&lt;").Replace(">", "&gt;");

    /// <summary>The quotation marks that a text can stand between as a raw string.</summary>
    public static string QuotesFor(string text) => new('"', System.Math.Max(3, LongestRun(text, '"') + 1));

    private static int LongestRun(string text, char wanted)
    {
        int longest = 0;
        int run = 0;
        foreach (char c in text)
        {
            run = c == wanted ? run + 1 : 0;
            longest = System.Math.Max(longest, run);
        }

        return longest;
    }
}
