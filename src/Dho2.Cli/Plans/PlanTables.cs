using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Cli.Pages;
using Dho2.Planning;
using Spectre.Console;

namespace Dho2.Cli.Plans;

/// <summary>Prints plans as tables.</summary>
internal sealed class PlanTables(Terminal terminal)
{
    // In a table of worlds, what is far behind the best is of no interest.
    private const int MostWorlds = 16;

    /// <summary>The headings over <see cref="Cells"/>.</summary>
    public static string[] WorldColumns { get; } = ["-stages", "-replicas", "-batch of all", "-peak", "-fits", "-bubble", "-a step", "-over replicas", "-samples/s"];

    /// <summary>Prints a plan, and ways to use more devices.</summary>
    public void Show(PlannedModel model, IReadOnlyList<World> worlds)
    {
        terminal.Heading(model.Model.MetadataName);
        if (model.Plan is null)
        {
            terminal.Console.WriteLine("no plan can be made");
            return;
        }

        var facts = new Grid().AddColumn(new GridColumn().NoWrap().PadRight(2)).AddColumn();
        foreach ((string name, string value) in PlanFacts.Of(model))
        {
            facts.AddRow(new Text(name), new Text(value));
        }

        terminal.Console.Write(facts);
        ShowStages(model);
        ShowCuts(model);
        terminal.Heading("a step");
        terminal.Console.WriteLine(ScheduleDrawing.Write(ScheduleSimulator.Run(model.Plan.Schedule, ScheduleCosts.OfEqualStages(model.Plan))).TrimEnd('\n'));
        if (worlds.Count > 0)
        {
            ShowWorlds(worlds);
        }
    }

    private void ShowStages(PlannedModel model)
    {
        Plan plan = model.Plan!;
        PlanReport report = model.Report!;
        Table table = terminal.Table(["", .. report.Stages.Select(stage => $"-stage {stage.Index}")]);
        void Row(string name, Func<StageReport, string> cell) => Terminal.Row(table, [name, .. report.Stages.Select(cell)]);
        Row("layers", stage => LayerNames.Text(stage.Layers));
        Row("number of parameters", stage => Quantity.Whole(stage.Parameters));
        if (plan.Curvature is not null)
        {
            Row("eigenpairs", stage => Quantity.Whole(stage.CurvatureRank));
        }

        Row("operations of a forward", stage => Quantity.Scaled(stage.ForwardOperations));
        foreach (MemoryKind kind in report.Stages.SelectMany(stage => stage.Memory).Select(term => term.Kind).Distinct())
        {
            // Only stages that recompute have inputs to do it from.
            Row(PlanReport.NameOf(kind), stage => PlanReport.FormatBytes(stage.Memory.FirstOrDefault(term => term.Kind == kind) is { } term ? term.Bytes : 0));
        }

        Row("peak", stage => stage.PeakBytes is null && stage.KnownBytes > 0 ? $"at least {PlanReport.FormatBytes(stage.KnownBytes)}" : PlanReport.FormatBytes(stage.PeakBytes));
        if (report.Stages.Any(stage => PlanFacts.DeviceOf(model, stage.Index) is not null))
        {
            Row("of the device", stage => PlanFacts.DeviceOf(model, stage.Index) is { } device ? $"{Quantity.Percent((double)stage.KnownBytes / device)} of {PlanReport.FormatBytes(device)}" : "");
        }

        terminal.Console.Write(table);
    }

    private void ShowCuts(PlannedModel model)
    {
        if (model.Plan!.Cuts.Count == 0)
        {
            return;
        }

        Table table = terminal.Table("cut", "what crosses");
        for (int cut = 0; cut < model.Plan.Cuts.Count; cut++)
        {
            Terminal.Row(table, $"{cut} to {cut + 1}", string.Join("; ", PlanFacts.CrossingOf(model, cut)));
        }

        terminal.Console.Write(table);
    }

    private void ShowWorlds(IReadOnlyList<World> worlds)
    {
        terminal.Heading($"{Quantity.Count(worlds[0].Devices, "device")}, by the plan's prices");
        Table table = terminal.Table(WorldColumns);
        foreach (World world in worlds.Take(MostWorlds))
        {
            Terminal.Row(table, Cells(world));
        }

        terminal.Console.Write(table);
    }

    /// <summary>What is said of a world, column by column.</summary>
    public static string[] Cells(World world) =>
    [
        Quantity.Whole(world.Plan.Stages.Count),
        Quantity.Whole(world.Plan.Options.Replicas),
        Quantity.Whole((long)world.Plan.Options.Batch * world.Plan.Options.Replicas),
        PlanReport.FormatBytes(world.PeakBytes),
        world.DeviceMemory is null ? "not stated" : world.PeakBytes is null ? "unknown" : world.Fits ? "yes" : "no",
        Quantity.Percent(world.Forecast.Simulation.BubbleFraction),
        Quantity.Time(world.Forecast.Time),
        Quantity.Time(world.Forecast.Reduction),
        Quantity.Scaled(world.SamplesPerSecond),
    ];
}
