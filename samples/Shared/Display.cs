using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Runtime.InteropServices;
using Dho2.Checkpoints;
using Dho2.Curvature;
using Dho2.Planning;
using Spectre.Console;

namespace Dho2.Samples;

/// <summary>Shows a plan and a run: live in a terminal, as plain lines elsewhere; and lets Ctrl+C end the run in order.</summary>
public sealed class Display
{
    private const int StepsBetweenLines = 100;
    private const int WidthOfFiles = 200;

    // Narrower than that, a line of progress has no bar.
    private const int WidthWithBar = 100;
    private const int WidthOfBar = 20;
    private const int WidthOfPercentage = 6;

    private readonly IAnsiConsole console;
    private readonly bool live;
    private volatile bool interrupted;

    /// <summary>Creates a display.</summary>
    /// <param name="console">Where to write.</param>
    public Display(IAnsiConsole console)
    {
        this.console = console;
        live = console.Profile.Capabilities is { Interactive: true, Ansi: true } && !Console.IsOutputRedirected;
        if (!live)
        {
            // A line of a file or a pipe stays one line.
            console.Profile.Width = WidthOfFiles;
        }
    }

    /// <summary>Prints the plan: what each stage holds, the bytes by kind, and what crosses each cut.</summary>
    public void ShowPlan(Trainer trainer)
    {
        Plan plan = trainer.Plan;
        PlanReport report = PlanReport.Of(plan, trainer.Description);
        Table table = new Table().Border(live ? TableBorder.Rounded : TableBorder.Ascii).Title($"Plan of {Markup.Escape(plan.Model)}");
        table.AddColumn("");
        foreach (StageReport stage in report.Stages)
        {
            table.AddColumn(new TableColumn($"stage {stage.Index}").RightAligned());
        }

        void Row(string name, Func<StageReport, string> cell) =>
            table.AddRow(report.Stages.Select(stage => Markup.Escape(cell(stage))).Prepend(Markup.Escape(name)).ToArray());

        Row("layers", stage => string.Join(", ", stage.Layers));
        Row("number of parameters", stage => stage.Parameters is { } count ? count.ToString("#,0", CultureInfo.InvariantCulture) : "unknown");
        foreach (MemoryKind kind in report.Stages.SelectMany(stage => stage.Memory).Select(term => term.Kind).Distinct())
        {
            Row(PlanReport.NameOf(kind), stage => PlanReport.FormatBytes(stage.Memory.FirstOrDefault(term => term.Kind == kind)?.Bytes));
        }

        Row("peak", stage => PlanReport.FormatBytes(stage.PeakBytes));
        Row("sent on", stage => stage.SentOn.Count > 0 ? string.Join(", ", stage.SentOn) : "-");
        console.Write(table);
        console.WriteLine(FormattableString.Invariant(
            $"batch {plan.Options.Batch} in {plan.Options.MicroBatches} micro-batches, {plan.Options.Schedule}, bubble {report.BubblePartsPerMillion / 1e4:0.0} %, plan {plan.Hash[..12]}"));
    }

    /// <summary>Says where the run goes on from, if it does, and why newer checkpoints are not used.</summary>
    public void ShowResumed(Trainer trainer)
    {
        if (trainer.Resumed is { } resumed)
        {
            foreach (CheckpointException refused in resumed.Refused)
            {
                console.WriteLine($"not used: {refused.Message}");
            }

            console.WriteLine(FormattableString.Invariant($"goes on after step {resumed.Step} from {resumed.Path}"));
        }
    }

    /// <summary>Runs <paramref name="work"/> and shows what the trainer reports meanwhile.</summary>
    /// <exception cref="OperationCanceledException">Ctrl+C was pressed; the step that was under way has been completed.</exception>
    public T Follow<T>(Trainer trainer, Func<T> work)
    {
        using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Interrupt);
        trainer.StepCompleted += ThrowIfInterrupted;
        trainer.CurvatureRefreshed += refreshed => console.MarkupLineInterpolated(CultureInfo.InvariantCulture,
            $"curvature before step {refreshed.Step}: largest eigenvalues {Largest(refreshed.Estimate)} ({refreshed.Estimate.Products} products, {refreshed.Estimate.Duration.TotalSeconds:0.0} s)");
        trainer.CurvatureCompared += compared => console.WriteLine(compared.ToText());
        trainer.CheckpointSaved += saved =>
        {
            if (saved.Path is not null)
            {
                console.WriteLine(FormattableString.Invariant($"saved step {saved.Step}: {PlanReport.FormatBytes(saved.Bytes)}, training stood still for {saved.Held.TotalMilliseconds:0} ms"));
            }
        };
        trainer.EpochCompleted += epoch => console.WriteLine(Describe(epoch));
        return live ? FollowLive(trainer, work) : FollowLines(trainer, work);
    }

    // The first time, the run ends with its step, and what the display changed in the terminal is put back; the second
    // time, at once.
    private void Interrupt(PosixSignalContext context)
    {
        context.Cancel = !interrupted;
        interrupted = true;
    }

    private void ThrowIfInterrupted(StepCompleted step)
    {
        if (interrupted)
        {
            throw new OperationCanceledException($"interrupted after step {step.Result.Step} of {step.TotalSteps}");
        }
    }

    private T FollowLive<T>(Trainer trainer, Func<T> work) =>
        console.Progress()
            .AutoClear(true)
            .Columns(console.Profile.Width >= WidthWithBar
                ? [new TaskDescriptionColumn(), new ProgressBarColumn { Width = WidthOfBar }, new PercentageColumn()]
                : [new TaskDescriptionColumn(), new PercentageColumn()])
            .Start(context =>
            {
                ProgressTask task = context.AddTask("training");
                int width = console.Profile.Width - WidthOfPercentage - (console.Profile.Width >= WidthWithBar ? WidthOfBar + 1 : 0);
                trainer.StepCompleted += step =>
                {
                    task.MaxValue = step.TotalSteps;
                    task.Value = step.Result.Step;
                    task.Description = step.ToText(width);
                };
                return work();
            });

    private T FollowLines<T>(Trainer trainer, Func<T> work)
    {
        trainer.StepCompleted += step =>
        {
            if (step.Result.Step % StepsBetweenLines == 0)
            {
                console.WriteLine(step.ToText());
            }
        };
        return work();
    }

    // Of a task without classes there is no accuracy.
    private static string Describe(EpochCompleted epoch)
    {
        string accuracy = epoch.Test?.Accuracy is { } share ? FormattableString.Invariant($", test accuracy {share:0.0000}") : "";
        return FormattableString.Invariant(
            $"epoch {epoch.Epoch}: training loss {epoch.TrainingLoss:0.0000}, test loss {epoch.Test?.Loss:0.0000}{accuracy}, {epoch.Elapsed.TotalSeconds:0.0} s");
    }

    private static string Largest(CurvatureEstimate estimate) =>
        string.Join(" ", estimate.Eigenvalues.Reverse().Take(5).Select(value => value.ToString("G3", CultureInfo.InvariantCulture)));
}
