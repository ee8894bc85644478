using System;
using System.Collections.Generic;
using System.Linq;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace Dho2.Analyzers.Tests;

/// <summary>Makes half-typed sources of a good one: tokens deleted, duplicated and swapped, and ends cut off.</summary>
internal sealed class Mutator(string source, int seed)
{
    private readonly string[] tokens = SyntaxFactory.ParseTokens(source).Select(token => token.ToFullString()).ToArray();
    private readonly Random random = new(seed);

    public string Next()
    {
        List<string> mutant = [.. tokens];
        for (int edits = random.Next(1, 4); edits > 0; edits--)
        {
            int at = random.Next(mutant.Count);
            int other = random.Next(mutant.Count);
            switch (random.Next(8))
            {
                case 0 or 1 or 2:
                    mutant.RemoveAt(at);
                    break;
                case 3 or 4:
                    mutant.Insert(at, mutant[at]);
                    break;
                case 5 or 6:
                    (mutant[at], mutant[other]) = (mutant[other], mutant[at]);
                    break;
                default:
                    mutant.RemoveRange(mutant.Count - (mutant.Count / 10), mutant.Count / 10);
                    break;
            }
        }

        return string.Concat(mutant);
    }
}
