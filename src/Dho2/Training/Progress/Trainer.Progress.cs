using System;
using System.Diagnostics;

namespace Dho2;

/// <summary>Saying how far a run is.</summary>
public sealed partial class Trainer
{
    private readonly ResidentMemory memory;
    private ProgressMeter? meter;
    private ProgressLine? line;

    private void BeginProgress()
    {
        line = Options.Progress == ProgressDisplay.Always || (Options.Progress == ProgressDisplay.Auto && StepCompleted is null) ? ProgressLine.OfProcess() : null;
        meter = ranks.Length > 0 ? meter ?? new ProgressMeter(setup, ranks, memory) : null;
    }

    // On the leading rank's thread.
    private void ReportStep(StepResult result, long firstStep, long totalSteps, int epoch, long samples, long start)
    {
        if (StepCompleted is null && line is null)
        {
            return;
        }

        TimeSpan elapsed = Stopwatch.GetElapsedTime(start);
        TimeSpan remaining = elapsed * ((double)(totalSteps - result.Step) / (result.Step - firstStep));
        var completed = new StepCompleted(result, totalSteps, epoch, samples / elapsed.TotalSeconds, elapsed) { Status = meter!.Measure(remaining) };
        StepCompleted?.Invoke(completed);
        line?.Show(completed);
    }
}
