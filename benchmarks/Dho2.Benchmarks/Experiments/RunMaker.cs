using System;
using System.Collections.Generic;
using System.Linq;

namespace Dho2.Benchmarks.Experiments;

/// <summary>Takes runs from the store, and makes those that are missing unless told not to.</summary>
/// <param name="task">The task of all runs.</param>
/// <param name="store">Where they are kept.</param>
/// <param name="storedOnly">Whether none is made.</param>
/// <param name="create">Makes what moves the parameters; the runtime's own optimizer by default.</param>
/// <param name="elsewhere">Another experiment's runs, which are not made again either; null for none.</param>
internal sealed class RunMaker(
    TrainingTask task, RunStore store, bool storedOnly, Func<TrainingState, ITrainingMethod>? create = null, RunStore? elsewhere = null)
{
    /// <summary>The results of some settings; without those that are not to be had.</summary>
    public IReadOnlyList<RunResult> GetAll(IEnumerable<RunSettings> settings) => [.. settings.Select(Get).OfType<RunResult>()];

    private RunResult? Get(RunSettings settings)
    {
        if ((store.Find(settings) ?? elsewhere?.Find(settings)) is { } stored)
        {
            return stored;
        }

        if (storedOnly)
        {
            return null;
        }

        using TrainingRun run = new(task, settings, create);
        RunResult result = run.Run();
        store.Add(result);
        Console.Error.WriteLine(FormattableString.Invariant(
            $"{DateTime.Now:HH:mm:ss} {settings.Key}: loss {result.BestWithin(1):0.0000} in {result.ProcessorSeconds:0.0} of {result.Seconds:0} s, {result.Products.Sum()} products"));
        return result;
    }
}
