using System;
using System.Collections.Concurrent;
using System.Globalization;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using Xunit.Abstractions;

namespace Dho2.CodeFixes.Tests.Fuzz;

/// <summary>Generator, analyzer and code fixes meet code that is being typed.</summary>
public sealed class FuzzTests(ITestOutputHelper output)
{
    /// <summary>The number of mutants, such as the 200,000 of a thorough run.</summary>
    private static readonly int Mutants =
        int.TryParse(Environment.GetEnvironmentVariable(FuzzFactAttribute.Variable), NumberStyles.None, CultureInfo.InvariantCulture, out int count) ? count : 0;

    [FuzzFact]
    public async Task Mutants_of_the_samples_make_nothing_throw_and_the_output_adds_no_error()
    {
        var outcomes = new ConcurrentBag<Outcome>();
        int next = 0;
        int shares = FuzzSources.All.Count * 2;
        async Task WorkAsync()
        {
            for (int share = Interlocked.Increment(ref next) - 1; share < shares; share = Interlocked.Increment(ref next) - 1)
            {
                string source = FuzzSources.All[share % FuzzSources.All.Count];
                var mutator = new Mutator(source, seed: 2026 + share);
                var specimen = new Specimen(source);
                for (int i = 0; i < Mutants / shares; i++)
                {
                    string mutant = mutator.Next();
                    try
                    {
                        Outcome outcome = await specimen.RunAsync(mutant);
                        outcomes.Add(outcome.Failure is null ? outcome : outcome with { Failure = $"{outcome.Failure}\n{mutant}" });
                    }
#pragma warning disable CA1031 // Whatever is thrown is what this test looks for.
                    catch (Exception exception)
#pragma warning restore CA1031
                    {
                        outcomes.Add(new(false, false, 0, 0, $"{exception}\n{mutant}"));
                    }
                }
            }
        }

        await Task.WhenAll(Enumerable.Range(0, Environment.ProcessorCount).Select(_ => Task.Run(WorkAsync)));
        string counts = $"{outcomes.Count} mutants: {outcomes.Count(o => o.Compiles)} compile, {outcomes.Count(o => o.HasStages)} yield stages, "
            + $"{outcomes.Count(o => o.Diagnostics > 0)} get diagnostics, {outcomes.Sum(o => o.Fixes)} fixes were applied, {outcomes.Count(o => o.Failure is not null)} fail";
        output.WriteLine(counts);
        string? failure = outcomes.Select(o => o.Failure).Where(f => f is not null).OrderBy(f => f!.Length).FirstOrDefault();
        Assert.True(failure is null, $"{counts}\n{failure}");
        Assert.True(outcomes.Count(o => o.HasStages) * 5 >= outcomes.Count, counts);
        Assert.Contains(outcomes, o => o.Fixes > 0);
    }
}
