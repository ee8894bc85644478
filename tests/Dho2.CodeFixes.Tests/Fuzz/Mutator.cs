using System;
using System.Collections.Generic;
using System.Linq;
using Microsoft.CodeAnalysis.CSharp;

namespace Dho2.CodeFixes.Tests.Fuzz;

/// <summary>Makes half-typed sources of a good one: tokens and lines deleted, duplicated and swapped, and ends cut off.</summary>
internal sealed class Mutator
{
    private readonly string[] tokens;
    private readonly string[] lines;

    /// <param name="source">The good source.</param>
    public Mutator(string source)
    {
        tokens = [.. SyntaxFactory.ParseTokens(source).Select(token => token.ToFullString())];
        lines = [.. source.Split('\n').Select(line => line + "\n")];
    }

    /// <summary>Makes the next mutant.</summary>
    /// <param name="random">What decides; the same seed makes the same mutants in every run.</param>
    public string Next(Random random)
    {
        List<string> parts = [.. random.Next(4) == 0 ? lines : tokens];
        for (int edits = 1 + random.Next(2); edits > 0; edits--)
        {
            int at = random.Next(parts.Count);
            int other = random.Next(parts.Count);
            switch (random.Next(16))
            {
                case < 5:
                    parts.RemoveAt(at);
                    break;
                case < 10:
                    parts.Insert(at, parts[at]);
                    break;
                case < 15:
                    (parts[at], parts[other]) = (parts[other], parts[at]);
                    break;
                default:
                    int kept = parts.Count - random.Next(1 + (parts.Count / 4));
                    parts.RemoveRange(kept, parts.Count - kept);
                    break;
            }
        }

        return string.Concat(parts);
    }
}
