using System.Collections.Generic;
using System.CommandLine;
using System.IO;
using Dho2.Checkpoints;

namespace Dho2.Cli.Inspection;

/// <summary><c>dho2 inspect</c>: what is in a checkpoint, and whether it is whole.</summary>
internal static class InspectCommand
{
    /// <summary>Describes the command.</summary>
    /// <param name="terminal">Where its results go.</param>
    public static Command Create(Terminal terminal)
    {
        var path = new Argument<string>("checkpoint")
        {
            Description = "A checkpoint's folder, a run's folder of checkpoints, or a safetensors file.",
        };
        var all = new Option<bool>("--all") { Description = "Show every tensor of the training state, not one line for each kind." };
        var fast = new Option<bool>("--no-verify") { Description = "Leave the checksums out: only manifests, headers and lengths are looked at." };
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        var command = new Command("inspect", "Shows what is in a checkpoint: tensors by stage, plan, step, configuration. Ends with 1 if anything is damaged.")
        {
            path, all, fast, json,
        };
        command.SetAction(parsed => Run(
            terminal, parsed.GetRequiredValue(path), new InspectOptions(parsed.GetValue(all), !parsed.GetValue(fast), parsed.GetValue(json))));
        return command;
    }

    private static int Run(Terminal terminal, string path, InspectOptions options)
    {
        if (File.Exists(path))
        {
            ShowFile(terminal, path, options);
            return ExitCode.Success;
        }

        if (!Directory.Exists(path))
        {
            throw new CheckpointException(path, "there is no such file or folder.");
        }

        Inspected inspected = Inspected.Of(path, options.Verifies);
        if (options.Json)
        {
            InspectJson.Write(inspected, terminal.Output);
        }
        else
        {
            new CheckpointTables(terminal, options.All).Show(inspected);
        }

        foreach (CheckpointException refusal in inspected.Refusals)
        {
            terminal.Complain(refusal.Message);
        }

        return inspected.Refusals.Count > 0 ? ExitCode.Failure : ExitCode.Success;
    }

    private static void ShowFile(Terminal terminal, string path, InspectOptions options)
    {
        using SafetensorsFile file = SafetensorsFile.Open(path);
        IReadOnlyList<StoredEntry> tensors = StoredEntry.Of(file, null);
        if (options.Json)
        {
            InspectJson.Write(path, file.Header.Metadata, tensors, terminal.Output);
        }
        else
        {
            new CheckpointTables(terminal, all: true).Show(path, file.Header.Metadata, tensors);
        }
    }
}

/// <summary>How <c>dho2 inspect</c> looks.</summary>
/// <param name="All">Whether every tensor of the state is shown.</param>
/// <param name="Verifies">Whether checksums are compared.</param>
/// <param name="Json">Whether the result is JSON.</param>
internal sealed record InspectOptions(bool All, bool Verifies, bool Json);
