using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using Dho2.Cli.Pages;
using Dho2.Records;

namespace Dho2.Cli.Reports;

/// <summary>What is said about a run in words and numbers, in the same ones everywhere.</summary>
internal static class RunFacts
{
    /// <summary>How it went.</summary>
    public static IReadOnlyList<(string Name, string Value)> Of(RunRecord record)
    {
        var facts = new List<(string, string)>
        {
            ("model", record.Manifest.Model),
            ("state", StateOf(record)),
            ("started", record.Sessions[0].Start.Started.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss 'UTC'", CultureInfo.InvariantCulture)),
        };
        if (record.Steps.Count > 0)
        {
            StepEntry last = record.Steps[^1];
            facts.Add(("steps", $"{Quantity.Whole(last.Step)} in {Quantity.Time(TimeSpan.FromSeconds(record.Sessions.Sum(s => s.Last.Time)))}"));
            facts.Add(("loss", Number(last.Loss)));
        }

        if (record.Epochs.LastOrDefault() is { } epoch)
        {
            string accuracy = epoch.TestAccuracy is { } share ? $", accuracy {Quantity.Percent(share)}" : "";
            facts.Add(("after epoch " + epoch.Epoch.ToString(CultureInfo.InvariantCulture), $"training loss {Number(epoch.TrainingLoss)}{(epoch.TestLoss is { } test ? $"; test loss {Number(test)}{accuracy}" : "")}"));
        }

        if (record.Estimates.Count > 0)
        {
            facts.Add(("curvature", $"{Quantity.Count(record.Estimates.Count, "estimate")}, {Quantity.Count(record.Estimates.Sum(e => e.Products), "product")}, {Quantity.Time(TimeSpan.FromSeconds(record.Estimates.Sum(e => e.Seconds)))}"));
        }

        foreach (TrialEntry trial in record.Trials)
        {
            facts.Add(("does it pay", string.Create(
                CultureInfo.InvariantCulture,
                $"{Words(trial.Verdict)}, over steps {Quantity.Whole(trial.Step - trial.Steps + 1)} to {Quantity.Whole(trial.Step)}: {trial.StepRatio:0.00} in steps, a step {trial.CostRatio:0.00} times as dear{(trial.Dropped ? "; dropped" : "")}")));
        }

        foreach ((StartEntry start, _) in record.Sessions.Skip(1))
        {
            facts.Add(("went on", $"after step {Quantity.Whole(start.Step)}, {start.Started.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss 'UTC'", CultureInfo.InvariantCulture)}{(start.Resumed is { } path ? $", from {path}" : "")}"));
        }

        return facts;
    }

    /// <summary>How it was set up.</summary>
    public static IReadOnlyList<(string Name, string Value)> SetupOf(RunRecord record)
    {
        RecordManifest manifest = record.Manifest;
        return
        [
            ("split into", $"{Quantity.Count(manifest.Plan.Stages, "stage")} x {Quantity.Count(manifest.Plan.Replicas, "replica")}, {Quantity.Count(manifest.Ranks.Count, "rank")}: {manifest.Transport}"),
            ("plan", manifest.Plan.Hash),
            .. manifest.Configuration.Select(number => (number.Key.Replace('_', ' '), number.Value)),
            ("versions", string.Join(", ", manifest.Versions.Select(v => $"{v.Key} {v.Value}"))),
        ];
    }

    // A verdict is written as the name of an enum's member.
    private static string Words(string name) =>
        string.Concat(name.Select((c, i) => char.IsUpper(c) && i > 0 ? " " + char.ToLowerInvariant(c) : char.ToLowerInvariant(c).ToString()));

    /// <summary>A loss or the like.</summary>
    public static string Number(double value) => value.ToString("G5", CultureInfo.InvariantCulture);

    private static string StateOf(RunRecord record) => record.Sessions[^1].Last switch
    {
        EndEntry { Failure: { } failure } => $"ended by a failure: {failure}",
        EndEntry => "ended in order",
        RecordEntry last => $"no end is written: it goes on, was killed, or could not be recorded after step {Quantity.Whole(last.Step)}",
    };
}
