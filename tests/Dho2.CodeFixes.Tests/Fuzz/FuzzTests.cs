using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Text.RegularExpressions;
using System.Threading;
using System.Threading.Tasks;
using Xunit.Abstractions;

namespace Dho2.CodeFixes.Tests.Fuzz;

/// <summary>Generator, analyzer and code fixes meet code that is being typed.</summary>
public sealed class FuzzTests(ITestOutputHelper output)
{
    // Failures that are shown in full.
    private const int Shown = 12;

    // What one mutant may take, on the slowest machine: it ends what would never end by itself.
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    /// <summary>The number of mutants, such as the 200,000 of a thorough run.</summary>
    private static readonly int Mutants =
        int.TryParse(Environment.GetEnvironmentVariable(FuzzFactAttribute.Variable), NumberStyles.None, CultureInfo.InvariantCulture, out int count) ? count : 0;

    [FuzzFact]
    public async Task Mutants_of_the_samples_make_nothing_throw_and_the_output_adds_no_error()
    {
        var outcomes = new ConcurrentBag<(Outcome Outcome, string Mutant)>();
        int next = 0;
        int shares = FuzzSources.All.Count * 2;
        async Task WorkAsync()
        {
            for (int share = Interlocked.Increment(ref next) - 1; share < shares; share = Interlocked.Increment(ref next) - 1)
            {
                string source = FuzzSources.All[share % FuzzSources.All.Count];
                var mutator = new Mutator(source, seed: 2026 + share);
                var specimen = new Specimen(source);
                for (int i = share; i < Mutants; i += shares)
                {
                    string mutant = mutator.Next();
                    outcomes.Add((await RunAsync(specimen, mutant), mutant));
                }
            }
        }

        await Task.WhenAll(Enumerable.Range(0, Environment.ProcessorCount).Select(_ => Task.Run(WorkAsync)));
        Outcome[] all = [.. outcomes.Select(o => o.Outcome)];
        string counts = $"{all.Length} mutants: {all.Count(o => o.Compiles)} compile, {all.Count(o => o.HasStages)} yield stages, "
            + $"{all.Count(o => o.Diagnostics > 0)} get diagnostics, {all.Sum(o => o.Fixes)} fixes were applied, {all.Count(o => o.Failure is not null)} fail";
        output.WriteLine(counts);
        WriteTimes(outcomes);
        (Outcome Outcome, string Mutant)[] failures = [.. outcomes.Where(o => o.Outcome.Failure is not null).OrderBy(o => o.Outcome.Failure!.Length)];
        Assert.True(failures.Length == 0, $"{counts}\n{string.Join("\n", failures.Select(FirstLine).Distinct())}\n\n{string.Join("\n\n", failures.DistinctBy(Kind).Take(Shown).Select(f => f.Outcome.Failure + "\n" + f.Mutant))}");
        Assert.True(all.Count(o => o.HasStages) * 5 >= all.Length, counts);
        Assert.Contains(all, o => o.Fixes > 0);
    }

    private static string FirstLine((Outcome Outcome, string Mutant) failure) => failure.Outcome.Failure!.Split('\n')[0];

    /// <summary>What failures have in common, apart from names and places.</summary>
    private static string Kind((Outcome Outcome, string Mutant) failure) => Regex.Replace(FirstLine(failure), @"'[^']*'|\d+,\d+|[\w.]+Net\b", "");

    private static async Task<Outcome> RunAsync(Specimen specimen, string mutant)
    {
        using var patience = new CancellationTokenSource(Patience);
        try
        {
            return await specimen.RunAsync(mutant, patience.Token);
        }
#pragma warning disable CA1031 // Whatever is thrown is what this test looks for.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            return new(false, false, 0, 0, exception.ToString());
        }
    }

    /// <summary>Shows where the time goes: an editor waits as long.</summary>
    private void WriteTimes(IReadOnlyCollection<(Outcome Outcome, string Mutant)> outcomes)
    {
        void Write(string name, Func<Outcome, double> of)
        {
            double[] times = [.. outcomes.Select(o => of(o.Outcome)).Order()];
            double At(double share) => times[(int)((times.Length - 1) * share)];
            output.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{name,-12} ms: mean {times.Average():0.0}, median {At(0.5):0.0}, 95 % {At(0.95):0.0}, 99.9 % {At(0.999):0.0}, most {times[^1]:0.0}"));
        }

        Write("generator", o => o.Generation);
        Write("analysis", o => o.Analysis);
        Write("comparison", o => o.Comparison);
        Write("fixes", o => o.Fixing);
        Write("all", o => o.Total);
        (Outcome slowest, string mutant) = outcomes.MaxBy(o => o.Outcome.Total);
        output.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"the slowest: generator {slowest.Generation:0}, analysis {slowest.Analysis:0}, comparison {slowest.Comparison:0}, fixes {slowest.Fixing:0}\n{mutant}"));
    }
}
