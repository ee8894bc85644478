using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using Dho2.Checkpoints;
using Dho2.Planning;
using Spectre.Console;

namespace Dho2.Cli.Inspection;

/// <summary>Prints what was found as tables.</summary>
internal sealed class CheckpointTables(Terminal terminal, bool all)
{
    /// <summary>Prints a checkpoint, or a run's list of them and what is in the newest whole one.</summary>
    public void Show(Inspected inspected)
    {
        if (inspected.IsRun)
        {
            ShowList(inspected);
        }

        if (inspected.Newest is { } newest)
        {
            ShowCheckpoint(newest);
        }
    }

    /// <summary>Prints the tensors of a file that belongs to no checkpoint.</summary>
    public void Show(string path, IReadOnlyDictionary<string, string> metadata, IReadOnlyList<StoredEntry> tensors)
    {
        terminal.Console.WriteLine($"{path}: {tensors.Count} tensors, {PlanReport.FormatBytes(tensors.Sum(t => t.Bytes))}");
        foreach ((string key, string value) in metadata.OrderBy(m => m.Key, StringComparer.Ordinal))
        {
            terminal.Console.WriteLine($"{key} = {value}");
        }

        Table table = terminal.Table("tensor", "type", "shape", "-bytes");
        foreach (StoredEntry tensor in tensors)
        {
            Terminal.Row(table, tensor.Name, tensor.Type, Shape(tensor.Shape), Count(tensor.Bytes));
        }

        terminal.Console.Write(table);
    }

    private void ShowList(Inspected inspected)
    {
        terminal.Console.WriteLine($"{inspected.Path}: {inspected.Checkpoints.Count} checkpoints");
        Table table = terminal.Table("checkpoint", "-step", "-epoch", "written", "-size", "");
        foreach (InspectedCheckpoint checkpoint in inspected.Checkpoints)
        {
            Terminal.Row(
                table,
                System.IO.Path.GetFileName(checkpoint.Path),
                checkpoint.Manifest is { } m ? Count(m.Step) : "",
                checkpoint.Manifest is { } e ? Count(e.Epoch) : "",
                checkpoint.Manifest is { } w ? Time(w.Created) : "",
                checkpoint.Bytes is { } bytes ? PlanReport.FormatBytes(bytes) : "",
                checkpoint.Refusals.Count == 0 ? "whole" : "damaged");
        }

        terminal.Console.Write(table);
        foreach (string leftover in inspected.Leftovers)
        {
            terminal.Console.WriteLine($"{leftover}: never completed; the next run removes it");
        }
    }

    private void ShowCheckpoint(InspectedCheckpoint checkpoint)
    {
        CheckpointManifest manifest = checkpoint.Manifest!;
        terminal.Heading(checkpoint.Path);
        var facts = new Grid().AddColumn(new GridColumn().NoWrap().PadRight(2)).AddColumn();
        void Fact(string name, string value) => facts.AddRow(new Text(name), new Text(value));
        Fact("model", manifest.Model);
        Fact("step", $"{Count(manifest.Step)}, epoch {Count(manifest.Epoch)}");
        Fact("written", Time(manifest.Created));
        Fact("plan", $"{manifest.Plan.Hash}");
        Fact("split into", $"{Plural(manifest.Plan.Stages, "stage")} x {Plural(manifest.Plan.Replicas, "replica")}");
        Fact("versions", string.Join(", ", manifest.Versions.Select(v => $"{v.Key} {v.Value}")));
        foreach ((string name, string value) in manifest.Configuration)
        {
            Fact(name.Replace('_', ' '), value);
        }

        terminal.Console.Write(facts);
        ShowStages(checkpoint, manifest);
        ShowFiles(manifest);
    }

    private void ShowStages(InspectedCheckpoint checkpoint, CheckpointManifest manifest)
    {
        var buffers = manifest.Buffers.Select(b => b.Name).ToHashSet(StringComparer.Ordinal);
        for (int stage = 0; stage < manifest.Plan.Stages; stage++)
        {
            StoredEntry[] own = [.. checkpoint.Tensors.Where(t => t.Stage == stage)];
            if (own.Length == 0)
            {
                continue;
            }

            terminal.Heading($"stage {stage}: {PlanReport.FormatBytes(own.Sum(t => t.Bytes))}");
            Table table = terminal.Table("tensor", "what", "type", "shape", "-bytes");
            foreach (StoredEntry tensor in own.Where(t => t.Kind == StoredEntryKind.Weights || all).OrderBy(t => t.Kind).ThenBy(t => t.Name, StringComparer.Ordinal))
            {
                Terminal.Row(table, tensor.Name, WhatIs(tensor, buffers), tensor.Type, Shape(tensor.Shape), Count(tensor.Bytes));
            }

            foreach (IGrouping<(string, int?), StoredEntry> kind in own
                .Where(t => t.Kind == StoredEntryKind.State && !all)
                .GroupBy(t => (t.Component, t.Replica))
                .OrderBy(g => g.Key.Replica).ThenBy(g => g.Key.Component, StringComparer.Ordinal))
            {
                StoredEntry[] tensors = [.. kind];
                Terminal.Row(
                    table,
                    kind.Key.Item1,
                    WhatIs(tensors[0], buffers),
                    string.Join(", ", tensors.Select(t => t.Type).Distinct()),
                    tensors.Length == 1 ? Shape(tensors[0].Shape) : $"{tensors.Length} tensors",
                    Count(tensors.Sum(t => t.Bytes)));
            }

            terminal.Console.Write(table);
        }
    }

    private void ShowFiles(CheckpointManifest manifest)
    {
        terminal.Heading("files");
        Table table = terminal.Table("file", "-stage", "-replica", "-bytes", "XXH128");
        foreach (StoredFile file in manifest.Files.OrderBy(f => f.Stage).ThenBy(f => f.Replica).ThenBy(f => f.Kind))
        {
            Terminal.Row(table, file.Name, Count(file.Stage), Count(file.Replica), Count(file.Bytes), file.Xxh128);
        }

        terminal.Console.Write(table);
    }

    private static string WhatIs(StoredEntry tensor, HashSet<string> buffers) => tensor.Kind == StoredEntryKind.State
        ? tensor.Replica > 0 ? $"state of replica {tensor.Replica}" : "state"
        : buffers.Contains(tensor.Name) ? "buffer" : "parameter";

    private static string Shape(IReadOnlyList<long> shape) => $"({string.Join(", ", shape)})";

    private static string Count(long number) => number.ToString("#,0", CultureInfo.InvariantCulture);

    private static string Plural(int count, string what) => $"{count} {what}{(count == 1 ? "" : "s")}";

    private static string Time(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss 'UTC'", CultureInfo.InvariantCulture);
}
