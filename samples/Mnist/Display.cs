using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using Dho2;
using Dho2.Curvature;
using Dho2.Planning;
using Spectre.Console;

namespace MnistSample;

/// <summary>Shows a plan and a run: live in a terminal, as plain lines elsewhere.</summary>
internal sealed class Display
{
    private const int StepsBetweenLines = 100;
    private const int WidthOfFiles = 200;

    private readonly IAnsiConsole console;
    private readonly bool live;

    public Display(IAnsiConsole console)
    {
        this.console = console;
        live = console.Profile.Capabilities.Interactive && !Console.IsOutputRedirected;
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
        Table table = new Table().Border(live ? TableBorder.Rounded : TableBorder.Ascii).Title($"Plan of {Markup.Escape(plan.Model)}");
        table.AddColumn("");
        foreach (StagePlan stage in plan.Stages)
        {
            table.AddColumn(new TableColumn($"stage {stage.Index}").RightAligned());
        }

        void Row(string name, Func<StagePlan, string> cell) =>
            table.AddRow(plan.Stages.Select(stage => Markup.Escape(cell(stage))).Prepend(Markup.Escape(name)).ToArray());

        Row("layers", stage => string.Join(", ", stage.Layers.Select(layer => trainer.Description.Layers[layer].Name)));
        Row("parameter count", stage => stage.Parameters is { } known ? Number(known.Sum(p => p.Count)) : "unknown");
        foreach (MemoryKind kind in plan.Stages.SelectMany(stage => stage.Memory).Select(term => term.Kind).Distinct())
        {
            Row(kind.ToString().ToLowerInvariant(), stage => Bytes(stage.Memory.Where(term => term.Kind == kind)));
        }

        Row("in all", stage => Bytes(stage.Memory));
        Row("sent on", stage => stage.Index < plan.Cuts.Count ? string.Join(", ", plan.Cuts[stage.Index].Values.Select(Describe)) : "-");
        console.Write(table);
        console.WriteLine(FormattableString.Invariant(
            $"batch {plan.Options.Batch} in {plan.Options.MicroBatches} micro-batches, {plan.Options.Schedule}, plan {plan.Hash[..12]}"));
    }

    /// <summary>Runs <paramref name="work"/> and shows what the trainer reports meanwhile.</summary>
    public T Follow<T>(Trainer trainer, Func<T> work)
    {
        trainer.CurvatureRefreshed += refreshed => console.MarkupLineInterpolated(CultureInfo.InvariantCulture,
            $"curvature before step {refreshed.Step}: largest eigenvalues {Largest(refreshed.Estimate)} ({refreshed.Estimate.Products} products, {refreshed.Estimate.Duration.TotalSeconds:0.0} s)");
        trainer.EpochCompleted += epoch => console.MarkupLineInterpolated(CultureInfo.InvariantCulture,
            $"epoch {epoch.Epoch}: training loss {epoch.TrainingLoss:0.0000}, test loss {epoch.Test?.Loss:0.0000}, test accuracy {epoch.Test?.Accuracy:0.0000}, {epoch.Elapsed.TotalSeconds:0.0} s");
        return live ? FollowLive(trainer, work) : FollowLines(trainer, work);
    }

    private T FollowLive<T>(Trainer trainer, Func<T> work) =>
        console.Progress()
            .AutoClear(true)
            .Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(), new RemainingTimeColumn())
            .Start(context =>
            {
                ProgressTask task = context.AddTask("training");
                trainer.StepCompleted += step =>
                {
                    task.MaxValue = step.TotalSteps;
                    task.Value = step.Result.Step;
                    task.Description = Describe(step);
                };
                return work();
            });

    private T FollowLines<T>(Trainer trainer, Func<T> work)
    {
        trainer.StepCompleted += step =>
        {
            if (step.Result.Step % StepsBetweenLines == 0)
            {
                console.WriteLine(Describe(step));
            }
        };
        return work();
    }

    private static string Describe(StepCompleted step) => string.Create(CultureInfo.InvariantCulture,
        $"epoch {step.Epoch}, step {step.Result.Step}/{step.TotalSteps}: loss {step.Result.Loss:0.0000}, {step.SamplesPerSecond:0} samples/s");

    private static string Largest(CurvatureEstimate estimate) =>
        string.Join(" ", estimate.Eigenvalues.Reverse().Take(5).Select(value => value.ToString("0.00", CultureInfo.InvariantCulture)));

    private static string Describe(CutValue value) =>
        value.Type is { } type ? $"{value.Name} ({string.Join(", ", type.Shape)})" : value.Name;

    private static string Number(long value) => value.ToString("#,0", CultureInfo.InvariantCulture);

    private static string Bytes(IEnumerable<MemoryTerm> terms)
    {
        long known = 0;
        bool all = true;
        foreach (MemoryTerm term in terms)
        {
            known += term.Bytes ?? 0;
            all &= term.Bytes is not null;
        }

        string prefix = all ? "" : "at least ";
        return known < 1 << 20
            ? string.Create(CultureInfo.InvariantCulture, $"{prefix}{known / 1024.0:0.0} KiB")
            : string.Create(CultureInfo.InvariantCulture, $"{prefix}{known / 1024.0 / 1024.0:0.0} MiB");
    }
}
