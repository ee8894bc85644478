using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Dho2.Benchmarks.Admm;

/// <summary>
/// Replicas with different data: consensus ADMM against synchronous training and against averaging at the same traffic.
/// Results are kept as lines of one file, so that the table goes on where it was interrupted.
/// </summary>
internal static class AdmmTable
{
    private static readonly JsonSerializerOptions Json = new()
    {
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
        Converters = { new JsonStringEnumConverter() },
    };

    /// <summary>Makes what is missing of the table and prints it.</summary>
    public static int Run(string[] arguments)
    {
        Dictionary<string, string> given = [];
        bool quick = arguments.Contains("--quick");
        string[] rest = [.. arguments.Where(a => a != "--quick")];
        for (int i = 0; i + 1 < rest.Length; i += 2)
        {
            given[rest[i]] = rest[i + 1];
        }

        if (rest.Length % 2 != 0 || given.Keys.FirstOrDefault(k => k is not ("--mnist" or "--results" or "--seeds" or "--replicas" or "--sweep" or "--drift" or "--most")) is not null)
        {
            throw new ArgumentException("admm takes --quick, --mnist FOLDER, --results FILE, --seeds N, --replicas N, --sweep true, --drift PERIOD and --most N.");
        }

        string mnist = given.GetValueOrDefault("--mnist", "samples/data/mnist");
        string results = given.GetValueOrDefault("--results", quick ? Path.Combine(Path.GetTempPath(), "dho2-admm-quick.jsonl") : "docs/experiments/admm.jsonl");
        int seeds = quick ? 1 : int.Parse(given.GetValueOrDefault("--seeds", "3"), CultureInfo.InvariantCulture);
        int replicas = int.Parse(given.GetValueOrDefault("--replicas", "2"), CultureInfo.InvariantCulture);
        int most = int.Parse(given.GetValueOrDefault("--most", "1000"), CultureInfo.InvariantCulture);
        AdmmSettings[] rows =
        [
            .. given.ContainsKey("--sweep") ? Sweep(replicas)
                : given.TryGetValue("--drift", out string? period) ? Drift(replicas, int.Parse(period, CultureInfo.InvariantCulture))
                : Rows(replicas, quick),
        ];
        List<AdmmResult> stored = Load(results);
        var run = new AdmmRun(mnist);
        foreach (AdmmSettings settings in rows.SelectMany(_ => Enumerable.Range(0, seeds), (row, seed) => row with { Seed = seed }).OrderBy(s => s.Seed))
        {
            if (!stored.Any(result => result.Settings == settings) && most-- > 0)
            {
                AdmmResult result = run.Run(settings);
                stored.Add(result);
                Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(results))!);
                File.AppendAllText(results, JsonSerializer.Serialize(result, Json) + "\n");
                Console.Error.WriteLine(FormattableString.Invariant(
                    $"{settings.Rule} R={settings.Replicas} H={settings.Period} sigma={settings.Sigma} a={settings.Relaxation} balance={settings.Balance} hybrid={settings.Hybrid} lr={settings.LearningRate} seed={settings.Seed}: {100 * result.Accuracy:F2} %, loss {result.TestLoss:F4}, {result.Seconds:F0} s"));
            }
        }

        Print(rows, stored, seeds);
        return 0;
    }

    /// <summary>The rows of the table, without seeds.</summary>
    private static IEnumerable<AdmmSettings> Rows(int replicas, bool quick)
    {
        foreach (bool hybrid in new[] { false, true })
        {
            AdmmSettings of(ReplicaRule rule, int period, double sigma, bool balance = false) =>
                new(rule, hybrid, replicas, period, sigma, 1, balance, 0.05, quick ? 1 : 4, quick ? 4_000 : 24_000, 0);

            yield return of(ReplicaRule.Synchronous, 1, 0);
            yield return of(ReplicaRule.Averaging, 10, 0);
            yield return of(ReplicaRule.Consensus, 10, 0.1);
            if (!hybrid && !quick)
            {
                yield return of(ReplicaRule.Consensus, 10, 0.03);
                yield return of(ReplicaRule.Consensus, 10, 0.1, balance: true);
            }
        }
    }

    /// <summary>Periods in which replicas drift far apart, so that how they are tied matters: half of the samples, all sigmas.</summary>
    private static IEnumerable<AdmmSettings> Drift(int replicas, int period)
    {
        AdmmSettings of(ReplicaRule rule, int length, double sigma, bool balance = false) =>
            new(rule, false, replicas, length, sigma, 1, balance, 0.05, 4, 12_000, 0);

        yield return of(ReplicaRule.Synchronous, 1, 0);
        yield return of(ReplicaRule.Averaging, period, 0);
        foreach (double sigma in new[] { 0.003, 0.01, 0.03, 0.1, 0.3 })
        {
            yield return of(ReplicaRule.Consensus, period, sigma);
        }

        yield return of(ReplicaRule.Consensus, period, 0.03, balance: true);
    }

    /// <summary>Settings to choose those of the table by, on one seed.</summary>
    private static IEnumerable<AdmmSettings> Sweep(int replicas)
    {
        foreach (double rate in new[] { 0.02, 0.05 })
        {
            AdmmSettings of(ReplicaRule rule, int period, double sigma, bool balance = false) =>
                new(rule, false, replicas, period, sigma, 1, balance, rate, 2, 12_000, 0);

            yield return of(ReplicaRule.Synchronous, 1, 0);
            yield return of(ReplicaRule.Averaging, 16, 0);
            foreach (double sigma in new[] { 0.01, 0.1, 0.3, 1.0, 3.0 })
            {
                yield return of(ReplicaRule.Consensus, 16, sigma);
            }

            yield return of(ReplicaRule.Consensus, 16, 0.1, balance: true);
        }
    }

    private static List<AdmmResult> Load(string path) => File.Exists(path)
        ? [.. File.ReadLines(path).Where(line => line.Length > 0).Select(line => JsonSerializer.Deserialize<AdmmResult>(line, Json)!)]
        : [];

    private static void Print(AdmmSettings[] rows, List<AdmmResult> stored, int seeds)
    {
        Console.WriteLine("| optimizer | replicas tied by | R | H | sigma | rate | test accuracy | by seed | test loss | bytes sent per rank | of synchronous |");
        Console.WriteLine("|---|---|---|---|---|---|---|---|---|---|---|");
        foreach (AdmmSettings row in rows)
        {
            AdmmResult[] own = [.. stored.Where(r => r.Settings.Seed < seeds && r.Settings with { Seed = 0 } == row)];
            AdmmResult[] synchronous = [.. stored.Where(r => r.Settings.Rule == ReplicaRule.Synchronous && r.Settings.Hybrid == row.Hybrid && r.Settings.Replicas == row.Replicas && r.Settings.LearningRate == row.LearningRate && r.Settings.Epochs == row.Epochs && r.Settings.Samples == row.Samples)];
            if (own.Length == 0)
            {
                continue;
            }

            string share = synchronous.Length == 0 ? "" : (own.Average(r => r.BytesPerRank) / synchronous.Average(r => r.BytesPerRank)).ToString("P1", CultureInfo.InvariantCulture);
            Console.WriteLine(FormattableString.Invariant(
                $"| {(row.Hybrid ? "hybrid" : "heavy-ball")} | {Name(row)} | {row.Replicas} | {row.Period} | {(row.Rule == ReplicaRule.Consensus ? row.Sigma : 0)} | {row.LearningRate} | {100 * own.Average(r => r.Accuracy):F2} % | {string.Join(", ", own.Select(r => (100 * r.Accuracy).ToString("F2", CultureInfo.InvariantCulture)))} | {own.Average(r => r.TestLoss):F4} | {own.Average(r => r.BytesPerRank) / 1e6:F2} MB | {share} |"));
        }
    }

    private static string Name(AdmmSettings row) => row.Rule switch
    {
        ReplicaRule.Synchronous => "every gradient",
        ReplicaRule.Averaging => "averaging",
        _ => row.Balance ? "consensus, balanced" : "consensus",
    };
}
