using System;
using System.Collections.Generic;
using System.CommandLine;
using System.CommandLine.Parsing;
using System.IO;
using System.Linq;
using Dho2.Cli.Pages;
using Dho2.Modeling;
using Dho2.Planning;
using Microsoft.CodeAnalysis;

namespace Dho2.Cli.Plans;

/// <summary><c>dho2 plan</c>: how the models of a project are split, for the numbers of the source or for others. Nothing is run.</summary>
internal static class PlanCommand
{
    private static readonly Dictionary<string, Schedule> Schedules = new(StringComparer.OrdinalIgnoreCase)
    {
        ["1f1b"] = Schedule.OneForwardOneBackward,
        ["gpipe"] = Schedule.GPipe,
        ["interleaved"] = Schedule.Interleaved,
        ["zb-h1"] = Schedule.ZeroBubble,
    };

    /// <summary>Describes the command.</summary>
    /// <param name="terminal">Where its results go.</param>
    /// <param name="commandLine">Says what the compiler would be called with: project, configuration.</param>
    public static Command Create(Terminal terminal, Func<string, string, IReadOnlyList<string>> commandLine)
    {
        var project = new Argument<string>("project") { Description = "A C# project, or a folder with one.", DefaultValueFactory = _ => "." };
        var model = new Option<string?>("--model") { Description = "Plan the pipeline class of this name alone." };
        Option<int?> stages = Number("--stages", "Cut the model into so many stages, wherever its attributes put its layers.");
        Option<int?> replicas = Number("--replicas", "Replicas of the pipeline.");
        Option<int?> microBatches = Number("--micro-batches", "Micro-batches per step.");
        Option<int?> batch = Number("--batch", "Samples per step and replica.");
        var schedule = new Option<Schedule?>("--schedule")
        {
            Description = $"The schedule: {string.Join(", ", Schedules.Keys)}.",
            HelpName = "name",
            CustomParser = result => Schedules.TryGetValue(result.Tokens[0].Value, out Schedule found)
                ? found
                : Refuse<Schedule?>(result, $"--schedule takes one of {string.Join(", ", Schedules.Keys)}, not '{result.Tokens[0].Value}'."),
        };
        var recompute = new Option<RecomputeOptions?>("--recompute")
        {
            Description = "The stages that recompute their activations, and no others, as if [Recompute] stood on them: their numbers, all or none.",
            HelpName = "n,n|all|none",
            CustomParser = result => RecomputedStages(result.Tokens[0].Value)
                ?? Refuse<RecomputeOptions?>(result, $"--recompute takes numbers of stages such as 0,2, or all, or none, not '{result.Tokens[0].Value}'."),
        };
        var device = new Option<(DeviceProfile? Profile, long? Memory)>("--device")
        {
            Description = $"The device that holds a stage: a name such as H100-80GB, or its memory, such as \"24 GiB\". Names: {string.Join(", ", DeviceProfile.Named.Select(d => d.Name))}.",
            HelpName = "name|memory",
            CustomParser = result =>
                DeviceProfile.Find(result.Tokens[0].Value) is { } profile ? (profile, null)
                : MemorySize.Parse(result.Tokens[0].Value) is { } memory ? (null, memory)
                : Refuse<(DeviceProfile?, long?)>(result, $"--device takes a name of the list or a size such as \"24 GiB\", not '{result.Tokens[0].Value}'."),
        };
        Option<int?> devices = Number("--devices", "Compare all ways to share so many devices out over stages and replicas, by the plan's prices.");
        var html = new Option<string?>("--html") { Description = "Write a page: stages, cuts, bytes by kind, time line. It needs nothing but itself.", HelpName = "file" };
        var svg = new Option<string?>("--svg") { Description = "Write a picture of the same.", HelpName = "file" };
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        var configuration = new Option<string>("--configuration", "-c") { Description = "The configuration whose symbols and references count.", DefaultValueFactory = _ => "Release" };
        var command = new Command("plan", "Shows how a project's models are split, without building or running them. Ends with 1 if a plan has errors.")
        {
            project, model, stages, replicas, microBatches, batch, schedule, recompute, device, devices, html, svg, json, configuration,
        };
        command.Validators.Add(result =>
        {
            if (result.GetValue(devices) is not null && result.GetValue(recompute) is { Stages.Count: > 0 })
            {
                result.AddError("--recompute takes all or none beside --devices, which compares ways with other stages.");
            }
        });
        command.SetAction(parsed =>
        {
            (DeviceProfile? profile, long? memory) = parsed.GetValue(device);
            var request = new PlanRequest(
                parsed.GetValue(stages), parsed.GetValue(replicas), parsed.GetValue(microBatches), parsed.GetValue(batch), parsed.GetValue(schedule), profile, memory,
                parsed.GetValue(recompute));
            return Run(
                terminal,
                ProjectCompilation.Load(parsed.GetRequiredValue(project), parsed.GetRequiredValue(configuration), commandLine),
                parsed.GetValue(model),
                request,
                new PlanOutputs(parsed.GetValue(devices), parsed.GetValue(html), parsed.GetValue(svg), parsed.GetValue(json)));
        });
        return command;
    }

    private static int Run(Terminal terminal, ProjectCompilation project, string? name, PlanRequest request, PlanOutputs outputs)
    {
        INamedTypeSymbol[] types = [.. project.Pipelines.Where(type => name is null || type.Name == name || type.ToDisplayString() == name)];
        if (types.Length == 0)
        {
            string known = string.Join(", ", project.Pipelines.Select(type => type.ToDisplayString()));
            terminal.Complain(name is null || known.Length == 0
                ? "the project has no class with [Pipeline]."
                : $"the project has no pipeline class '{name}'; it has {known}.");
            return ExitCode.Failure;
        }

        PlannedModel[] models = [.. types.Select(type => PlannedModel.Of(type, project, request)).OfType<PlannedModel>()];
        var worlds = new List<(PlannedModel Model, IReadOnlyList<World> Worlds)>();
        foreach (PlannedModel model in models)
        {
            IReadOnlyList<World> ways = outputs.Devices is { } devices ? World.AllOf(model.Model, request, devices) : [];
            worlds.Add((model, ways));
            if (!outputs.Json)
            {
                new PlanTables(terminal).Show(model, ways);
            }

            foreach (Diagnostic diagnostic in model.Diagnostics.Where(d => d.Severity >= DiagnosticSeverity.Warning))
            {
                terminal.Errors.WriteLine(diagnostic.ToString());
            }
        }

        if (outputs.Json)
        {
            PlanJson.Write(worlds, terminal.Output);
        }

        if (outputs.Html is { } page)
        {
            File.WriteAllText(page, PlanPage.Write(worlds));
        }

        if (outputs.Svg is { } picture)
        {
            File.WriteAllText(picture, PlanPicture.Write([.. models.Where(m => m.Plan is not null)]));
        }

        return models.Any(model => model.HasErrors) ? ExitCode.Failure : ExitCode.Success;
    }

    private static Option<int?> Number(string name, string description) => new(name)
    {
        Description = description,
        HelpName = "n",
        CustomParser = result => int.TryParse(result.Tokens[0].Value, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out int number) && number >= 1
            ? number
            : Refuse<int?>(result, $"{name} takes a whole number of at least 1, not '{result.Tokens[0].Value}'."),
    };

    private static RecomputeOptions? RecomputedStages(string text)
    {
        switch (text.ToUpperInvariant())
        {
            case "ALL":
                return RecomputeOptions.Everywhere;
            case "NONE":
                return RecomputeOptions.None;
        }

        var stages = new SortedSet<int>();
        foreach (string number in text.Split(',', StringSplitOptions.TrimEntries))
        {
            if (!int.TryParse(number, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out int stage))
            {
                return null;
            }

            stages.Add(stage);
        }

        return RecomputeOptions.Of([.. stages]);
    }

    private static T? Refuse<T>(ArgumentResult result, string message)
    {
        result.AddError(message);
        return default;
    }
}

/// <summary>What else <c>dho2 plan</c> is to make.</summary>
/// <param name="Devices">Devices of the world to compare; null for none.</param>
/// <param name="Html">Where the page goes; null for nowhere.</param>
/// <param name="Svg">Where the picture goes; null for nowhere.</param>
/// <param name="Json">Whether JSON is printed in place of tables.</param>
internal sealed record PlanOutputs(int? Devices, string? Html, string? Svg, bool Json);
