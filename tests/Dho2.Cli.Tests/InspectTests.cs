using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.Json;
using Dho2.Checkpoints;
using Dho2.Checkpoints.Tests;

namespace Dho2.Cli.Tests;

/// <summary><c>dho2 inspect</c>, on checkpoints that are whole and on damaged ones.</summary>
public sealed class InspectTests : IDisposable
{
    private readonly TemporaryFolder folder = new();
    private readonly CheckpointStore store;

    public InspectTests() => store = new CheckpointStore(folder.File("run"));

    public void Dispose() => folder.Dispose();

    [Fact]
    public void ACheckpointShowsItsFactsItsTensorsByStageAndItsFiles()
    {
        string path = SampleCheckpoint.Save(store, 1500, 40);
        (int status, string output, string errors) = Tool.Run("inspect", path);

        Assert.Equal((0, ""), (status, errors));
        string[] lines = output.Split('\n');
        Assert.Equal("Tests.Sample", Fact(lines, "model"));
        Assert.Equal("1,500, epoch 1", Fact(lines, "step"));
        Assert.Equal("1970-01-01 00:00:00 UTC", Fact(lines, "written"));
        Assert.Equal("abc", Fact(lines, "plan"));
        Assert.Equal("2 stages x 1 replica", Fact(lines, "split into"));
        Assert.Equal("dho2 0.1.0", Fact(lines, "versions"));
        Assert.Equal("1", Fact(lines, "seed"));
        int first = Array.IndexOf(lines, "stage 0: 640 B");
        int second = Array.IndexOf(lines, "stage 1: 640 B");
        Assert.True(first > 0 && second > first, output);
        Assert.Equal(["layer0.weight", "parameter", "F64", "(40)", "320"], Cells(lines[first..second], "layer0.weight"));
        Assert.Equal(["momentum", "state", "F64", "(40)", "320"], Cells(lines[first..second], "momentum"));
        Assert.Equal(["layer1.weight", "parameter", "F64", "(40)", "320"], Cells(lines[second..], "layer1.weight"));
        foreach (StoredFile file in CheckpointFolder.Open(path).Manifest.Files)
        {
            Assert.Equal([file.Name, $"{file.Stage}", "0", $"{file.Bytes}", file.Xxh128], Cells(lines, file.Name));
        }
    }

    [Fact]
    public void EveryTensorOfTheStateIsShownWhereThatIsAskedFor()
    {
        string path = SampleCheckpoint.Save(store, 1, 4);
        Assert.DoesNotContain("momentum/layer1.weight", Tool.Run("inspect", path).Output, StringComparison.Ordinal);
        Assert.Contains("momentum/layer1.weight", Tool.Run("inspect", path, "--all").Output, StringComparison.Ordinal);
    }

    [Fact]
    public void ARunsFolderShowsItsCheckpointsAndTheNewest()
    {
        foreach (long step in new long[] { 10, 20, 30 })
        {
            SampleCheckpoint.Save(store, step, 4);
        }

        CheckpointDraft draft = store.Begin(40, 0xBEEF);
        (int status, string output, string errors) = Tool.Run("inspect", store.Folder);
        Assert.Equal((0, ""), (status, errors));
        string[] lines = output.Split('\n');
        Assert.Equal($"{store.Folder}: 3 checkpoints", lines[0]);
        Assert.Equal(["step-00000030", "step-00000020", "step-00000010"], lines.Where(l => l.StartsWith("| step-", StringComparison.Ordinal)).Select(l => l.Split('|')[1].Trim()));
        Assert.Equal("whole", Cells(lines, "step-00000010")[^1]);
        Assert.Contains($"{draft.Path}: never completed; the next run removes it", lines);
        Assert.Equal("30, epoch 1", Fact(lines, "step"));
    }

    [Fact]
    public void DamageIsRefusedWithFileAndCauseAndTheOlderOneIsShown()
    {
        SampleCheckpoint.Save(store, 10, 40);
        string newer = SampleCheckpoint.Save(store, 20, 40);
        foreach (string file in Directory.GetFiles(newer))
        {
            byte[] good = File.ReadAllBytes(file);
            foreach ((byte[] bad, string cause) in new (byte[], string)[] { (good[..^1], "bytes"), ([.. good[..^1], (byte)(good[^1] ^ 1)], "changed"), ([], "bytes") })
            {
                File.WriteAllBytes(file, bad);
                (int status, string output, string errors) = Tool.Run("inspect", newer);
                Assert.Equal(1, status);
                Assert.StartsWith($"dho2: {file}: ", errors, StringComparison.Ordinal);
                Assert.Contains(cause, errors, StringComparison.Ordinal);
                Assert.Single(errors.Split('\n', StringSplitOptions.RemoveEmptyEntries));
                Assert.Equal("", output);

                (status, output, errors) = Tool.Run("inspect", store.Folder);
                Assert.Equal(1, status);
                Assert.StartsWith($"dho2: {file}: ", errors, StringComparison.Ordinal);
                string[] lines = output.Split('\n');
                Assert.Equal("damaged", Cells(lines, "step-00000020")[^1]);
                Assert.Equal("10, epoch 1", Fact(lines, "step"));
            }

            File.WriteAllBytes(file, good);
        }

        Assert.Equal(0, Tool.Run("inspect", store.Folder).Status);
    }

    [Fact]
    public void EveryDamagedFileIsNamedAndWithoutChecksumsOnlyHeadersAreLookedAt()
    {
        string path = SampleCheckpoint.Save(store, 10, 40);
        string[] files = [.. Directory.GetFiles(path, "weights*").Order(StringComparer.Ordinal)];
        foreach (string file in files)
        {
            byte[] bytes = File.ReadAllBytes(file);
            bytes[^1] ^= 1;
            File.WriteAllBytes(file, bytes);
        }

        string[] errors = [.. Tool.Run("inspect", path).Errors.Split('\n', StringSplitOptions.RemoveEmptyEntries).Order(StringComparer.Ordinal)];
        Assert.Equal(2, errors.Length);
        Assert.All(files.Zip(errors), pair => Assert.StartsWith($"dho2: {pair.First}: its checksum is ", pair.Second, StringComparison.Ordinal));
        Assert.Equal(0, Tool.Run("inspect", path, "--no-verify").Status);
    }

    [Fact]
    public void JsonHasAllThatTheTablesShow()
    {
        string path = SampleCheckpoint.Save(store, 10, 40);
        SampleCheckpoint.Save(store, 5, 40);
        (int status, string output, _) = Tool.Run("inspect", store.Folder, "--json");
        Assert.Equal(0, status);
        using JsonDocument json = JsonDocument.Parse(output);
        JsonElement[] checkpoints = [.. json.RootElement.GetProperty("checkpoints").EnumerateArray()];
        Assert.Equal([10L, 5], checkpoints.Select(c => c.GetProperty("manifest").GetProperty("step").GetInt64()));
        Assert.All(checkpoints, c => Assert.True(c.GetProperty("whole").GetBoolean()));
        Assert.Equal("abc", checkpoints[0].GetProperty("manifest").GetProperty("plan").GetProperty("hash").GetString());
        JsonElement tensor = checkpoints[0].GetProperty("tensors").EnumerateArray().Single(t => t.GetProperty("name").GetString() == "momentum/layer1.weight");
        Assert.Equal(
            ("state-stage-1.safetensors", 1, true, "F64", 320L),
            (tensor.GetProperty("file").GetString(), tensor.GetProperty("stage").GetInt32(), tensor.GetProperty("state").GetBoolean(), tensor.GetProperty("type").GetString(), tensor.GetProperty("bytes").GetInt64()));

        string manifest = Path.Combine(path, CheckpointManifest.FileName);
        File.AppendAllText(manifest, " ");
        (status, output, string errors) = Tool.Run("inspect", path, "--json");
        Assert.Equal(1, status);
        using JsonDocument damaged = JsonDocument.Parse(output);
        JsonElement refusal = damaged.RootElement.GetProperty("checkpoints")[0].GetProperty("refusals")[0];
        Assert.Equal(manifest, refusal.GetProperty("path").GetString());
        Assert.Contains(refusal.GetProperty("cause").GetString()!, errors, StringComparison.Ordinal);
    }

    [Fact]
    public void AFileOfWeightsShowsItsTensorsWhoeverWroteIt()
    {
        string file = folder.File("model.safetensors");
        SafetensorsWriter.Write(file, [SampleCheckpoint.Tensor("fc.weight", 1, 3), SampleCheckpoint.Tensor("fc.bias", 2, 1)], new Dictionary<string, string> { ["format"] = "pt" });
        (int status, string output, _) = Tool.Run("inspect", file);
        Assert.Equal(0, status);
        string[] lines = output.Split('\n');
        Assert.Equal($"{file}: 2 tensors, 32 B", lines[0]);
        Assert.Contains("format = pt", lines);
        Assert.Equal(["fc.weight", "F64", "(3)", "24"], Cells(lines, "fc.weight"));
        Assert.Equal("fc.weight", JsonDocument.Parse(Tool.Run("inspect", file, "--json").Output).RootElement.GetProperty("tensors")[0].GetProperty("name").GetString());

        File.WriteAllBytes(file, [1, 2, 3]);
        (status, output, string errors) = Tool.Run("inspect", file);
        Assert.Equal((1, "", $"dho2: {file}: it has 3 bytes; a safetensors file begins with the 8 bytes of its header's length.\n"), (status, output, errors));
    }

    [Fact]
    public void AManifestWhoseTensorsAreElsewhereIsRefused()
    {
        // Sealed and consistent in itself, but of other tensors than its files have.
        CheckpointDraft draft = store.Begin(3, 1);
        StoredFile weights = draft.Write("weights-stage-0.safetensors", StoredKind.Weights, 0, 0, [SampleCheckpoint.Tensor("a", 1, 4)]);
        CheckpointManifest manifest = SampleCheckpoint.Manifest(3, [new RankReceipt([weights], [new("a", 0, "F32", [4]), new("b", 0, "F64", [1])], [])]);
        string path = draft.Publish(manifest);
        (int status, _, string errors) = Tool.Run("inspect", path);
        Assert.Equal(1, status);
        Assert.Contains("weights-stage-0.safetensors: 'a' is F64 of shape (4); the manifest says F32 of shape (4).", errors, StringComparison.Ordinal);
        Assert.Contains("the model's 'b' is in none of its files.", errors, StringComparison.Ordinal);
    }

    [Fact]
    public void WhatIsNoCheckpointIsSaid()
    {
        string absent = folder.File("absent");
        Assert.Equal((1, "", $"dho2: {absent}: there is no such file or folder.\n"), Tool.Run("inspect", absent));
        Directory.CreateDirectory(store.Folder);
        (int status, _, string errors) = Tool.Run("inspect", store.Folder);
        Assert.Equal(1, status);
        Assert.StartsWith($"dho2: {store.Folder}: it is no checkpoint (it has no manifest.json), and has none", errors, StringComparison.Ordinal);
    }

    private static string Fact(string[] lines, string name) => lines.First(l => l.StartsWith(name + "  ", StringComparison.Ordinal))[name.Length..].Trim();

    private static string[] Cells(string[] lines, string first) =>
        [.. lines.First(l => l.StartsWith($"| {first} ", StringComparison.Ordinal)).Trim('|').Split('|').Select(cell => cell.Trim())];
}
