using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Text.RegularExpressions;

namespace Dho2.CodeFixes.Tests.Fuzz;

/// <summary>
/// Counts what became of mutants. It grows with the kinds of failures alone, so that hundreds of thousands of mutants may be
/// counted.
/// </summary>
internal sealed class FuzzTally
{
    // Failures that are kept in full, one of each kind.
    private const int Shown = 12;

    private static readonly (string Name, Func<Outcome, double> Of)[] Steps =
    [
        ("generator", o => o.Generation), ("analysis", o => o.Analysis), ("comparison", o => o.Comparison), ("fixes", o => o.Fixing), ("all", o => o.Total),
    ];

    private readonly TimeHistogram[] times = [.. Steps.Select(_ => new TimeHistogram())];
    private readonly SortedDictionary<string, (int Count, string Text)> failures = new(StringComparer.Ordinal);
    private int compiling;
    private int diagnosed;
    private long fixes;
    private int failing;
    private int ending;
    private (Outcome Outcome, string Mutant)? slowest;

    /// <summary>The mutants counted.</summary>
    public int Count { get; private set; }

    /// <summary>Those that yielded stages.</summary>
    public int WithStages { get; private set; }

    /// <summary>Whether a fix was applied to any.</summary>
    public bool AnyFix => fixes > 0;

    /// <summary>Whether any failed.</summary>
    public bool AnyFailure => failing > 0;

    /// <summary>The counts, in one line.</summary>
    public string Counts => string.Create(
        CultureInfo.InvariantCulture,
        $"{Count} mutants: {compiling} compile, {WithStages} yield stages, {diagnosed} get diagnostics, {fixes} fixes were applied, {failing} fail{(ending > 0 ? $"; the compiler itself throws on {ending}" : "")}");

    /// <summary>The failures: how many of each kind, and one of each in full.</summary>
    public string Failures =>
        string.Join("\n", failures.Values.Select(kind => $"{kind.Count} x {FirstLine(kind.Text)}"))
        + "\n\n" + string.Join("\n\n", failures.Values.Take(Shown).Select(kind => kind.Text));

    /// <summary>Where the time goes: an editor waits as long.</summary>
    public IEnumerable<string> Times => Steps.Select((step, i) => times[i].Describe(step.Name));

    /// <summary>The slowest mutant.</summary>
    public string Slowest => slowest is not var (outcome, mutant) ? "" : string.Create(
        CultureInfo.InvariantCulture,
        $"the slowest: generator {outcome.Generation:0}, analysis {outcome.Analysis:0}, comparison {outcome.Comparison:0}, fixes {outcome.Fixing:0}\n{mutant}");

    /// <summary>Counts a mutant.</summary>
    /// <param name="outcome">What became of it.</param>
    /// <param name="name">The source that it was made of.</param>
    /// <param name="mutant">Its text.</param>
    public void Add(Outcome outcome, string name, string mutant)
    {
        Count++;
        compiling += outcome.Compiles ? 1 : 0;
        WithStages += outcome.HasStages ? 1 : 0;
        diagnosed += outcome.Diagnostics > 0 ? 1 : 0;
        fixes += outcome.Fixes;
        ending += outcome.EndsCompiler ? 1 : 0;
        for (int i = 0; i < Steps.Length; i++)
        {
            times[i].Add(Steps[i].Of(outcome));
        }

        if (slowest is not var (most, _) || outcome.Total > most.Total)
        {
            slowest = (outcome, mutant);
        }

        if (outcome.Failure is { } failure)
        {
            failing++;
            string kind = KindOf(failure);
            failures[kind] = failures.TryGetValue(kind, out (int Count, string Text) known)
                ? (known.Count + 1, known.Text)
                : (1, $"{failure}\n{name}:\n{mutant}");
        }
    }

    private static string FirstLine(string failure) => failure.Split('\n')[0];

    /// <summary>What failures have in common, apart from names and places.</summary>
    private static string KindOf(string failure) => Regex.Replace(FirstLine(failure), @"'[^']*'|\d+,\d+|[\w.]+(?=\.(Constructor|Pipeline|Stages|Admm)\.g)", "");
}
