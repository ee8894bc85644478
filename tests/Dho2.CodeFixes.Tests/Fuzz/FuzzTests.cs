using System;
using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using Xunit.Abstractions;

namespace Dho2.CodeFixes.Tests.Fuzz;

/// <summary>
/// Generator, analyzer and code fixes meet code that is being typed. The environment variable DHO2_FUZZ holds the number of
/// mutants where it is not to be the usual one: <c>DHO2_FUZZ=20000 dotnet test</c>; DHO2_FUZZ_AFTER that of the first ones to
/// leave out, so that a long series can be made in parts. DHO2_FUZZ_PROGRESS names a file to which the counts so far are
/// added now and then.
/// </summary>
public sealed class FuzzTests(ITestOutputHelper output)
{
    private const int Usual = 500;

    // Mutants of one source that are made one after the other, from one seed. Fewer mutants are always the first of more.
    private const int BlockLength = 25;
    private const int BetweenReports = 1000;
    private const int FirstSeed = 2026;

    // What one mutant may take, on the slowest machine: it ends what would never end by itself.
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    private static readonly int Mutants = Number("DHO2_FUZZ") ?? Usual;
    private static readonly int LeftOut = Number("DHO2_FUZZ_AFTER") ?? 0;

    private readonly FuzzTally tally = new();
    private readonly ConcurrentBag<Specimen>[] specimens = [.. FuzzSources.All.Select(_ => new ConcurrentBag<Specimen>())];
    private readonly Stopwatch clock = Stopwatch.StartNew();

    [Fact]
    public async Task Mutants_of_the_samples_make_nothing_throw_and_the_output_adds_no_error()
    {
        int next = (LeftOut / BlockLength) - 1;
        async Task WorkAsync()
        {
            for (int block = Interlocked.Increment(ref next); block * BlockLength < Mutants; block = Interlocked.Increment(ref next))
            {
                await RunBlockAsync(block);
            }
        }

        await Task.WhenAll(Enumerable.Range(0, Environment.ProcessorCount).Select(_ => Task.Run(WorkAsync)));
        output.WriteLine(tally.Counts);
        foreach (string line in tally.Times)
        {
            output.WriteLine(line);
        }

        output.WriteLine(tally.Slowest);
        Assert.False(tally.AnyFailure, $"{tally.Counts}\n{tally.Failures}");
        Assert.True(tally.WithStages * 5 >= tally.Count, tally.Counts);
        Assert.True(tally.AnyFix);
    }

    /// <summary>Roslyn throws on this one by itself: a build ends, and neither generator nor analyzer is asked.</summary>
    [Fact]
    public async Task A_mutant_that_ends_the_compiler_is_no_failure()
    {
        FuzzSource source = FuzzSources.All.First(s => s.Text.Contains("TiedTo(nameof(tokens))", StringComparison.Ordinal));
        Outcome outcome = await new Specimen(source).RunAsync(source.Text.Replace("nameof(tokens)", "nameof(tokens= )", StringComparison.Ordinal), default);
        Assert.Null(outcome.Failure);
        Assert.False(outcome.Compiles);
    }

    private async Task RunBlockAsync(int block)
    {
        int source = block % FuzzSources.All.Count;
        Specimen specimen = specimens[source].TryTake(out Specimen? known) ? known : new Specimen(FuzzSources.All[source]);
        var random = new Random(FirstSeed + block);
        int end = Math.Min(Mutants, (block + 1) * BlockLength);
        for (int i = block * BlockLength; i < end; i++)
        {
            string mutant = specimen.Mutate(random);
            Outcome outcome = await RunAsync(specimen, mutant);
            lock (tally)
            {
                tally.Add(outcome, FuzzSources.All[source].Name, mutant);
                if (tally.Count % BetweenReports == 0)
                {
                    ReportProgress();
                }
            }
        }

        specimens[source].Add(specimen);
    }

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

    private static int? Number(string variable) =>
        int.TryParse(Environment.GetEnvironmentVariable(variable), NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : null;

    private void ReportProgress()
    {
        if (Environment.GetEnvironmentVariable("DHO2_FUZZ_PROGRESS") is not { Length: > 0 } file)
        {
            return;
        }

        string time = string.Create(
            CultureInfo.InvariantCulture,
            $"{clock.Elapsed.TotalMinutes:0.0} minutes, {Process.GetCurrentProcess().TotalProcessorTime.TotalMinutes:0.0} of processor time, {GC.GetTotalMemory(false) >> 20} MiB");
        File.AppendAllText(file, $"{tally.Counts}; {time}\n{string.Join("\n", tally.Times)}\n{(tally.AnyFailure ? tally.Failures + "\n" : "")}\n");
    }
}
