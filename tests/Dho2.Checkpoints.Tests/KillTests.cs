using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using Xunit.Abstractions;

namespace Dho2.Checkpoints.Tests;

/// <summary>
/// Processes that are killed, or cannot write, while they save. The environment variable <c>DHO2_KILLS</c> sets the number
/// of kills.
/// </summary>
public sealed class KillTests(ITestOutputHelper output) : IDisposable
{
    private const int DefaultKills = 12;

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void AKillAtAnyMomentLosesNoCheckpointThatWasSaid()
    {
        int kills = int.Parse(Environment.GetEnvironmentVariable("DHO2_KILLS") ?? $"{DefaultKills}", CultureInfo.InvariantCulture);
        var random = new Random(8);
        var store = new CheckpointStore(folder.Path);
        var left = new Dictionary<string, int>();
        long newest = 0;
        for (int kill = 0; kill < kills; kill++)
        {
            long said = DriverProcess.SaveUntilKilled(folder.Path, TimeSpan.FromMilliseconds(random.NextDouble() * 60));
            (CheckpointFolder? found, IReadOnlyList<CheckpointException> refused) = store.FindNewest();

            Assert.Empty(refused);
            Assert.True(found!.Manifest.Step >= Math.Max(said, newest), $"Kill {kill}: step {said} was said to be saved, {newest} was there before, {found.Manifest.Step} was found.");
            Assert.True(SampleCheckpoint.IsRight(found));
            newest = found.Manifest.Step;
            string state = StateLeft();
            left[state] = left.GetValueOrDefault(state) + 1;
        }

        output.WriteLine($"{kills} kills over {newest} checkpoints; they left: {string.Join("; ", left.OrderBy(l => l.Key, StringComparer.Ordinal).Select(l => $"{l.Key}: {l.Value}"))}");
        store.RemoveLeftovers();
        Assert.Equal(store.Steps.Count, Directory.GetFileSystemEntries(folder.Path).Length);
    }

    [Fact]
    public void AFullDiskIsNamedAndTheOlderCheckpointsStay()
    {
        if (!OperatingSystem.IsLinux())
        {
            return;
        }

        // Room for two checkpoints and a part of the third.
        (int exitCode, string found, string errors) = DriverProcess.FillDisk(folder.Path, kibibytes: 5000);
        if (exitCode is 1 or 77)
        {
            output.WriteLine($"No disk of its own for a process here: {errors}");
            return;
        }

        Assert.Equal(3, exitCode);
        Assert.Matches("step-00000003.*safetensors: it cannot be written \\(4[0-9]{5} bytes\\): ", errors);
        Assert.EndsWith("found=2 right=True refused=0 folders=2\n", found, StringComparison.Ordinal);
    }

    [Fact]
    public void AFileThatMayNotBeSoLongIsNamedAndTheOlderCheckpointStays()
    {
        if (!OperatingSystem.IsLinux())
        {
            return;
        }

        SampleCheckpoint.Save(new CheckpointStore(folder.Path), 1, 100);
        (int exitCode, string found, string errors) = DriverProcess.FillWithin(folder.Path, kibibytes: 256);
        Assert.Equal(3, exitCode);
        Assert.Matches("step-00000002.*safetensors: it cannot be written \\(4[0-9]{5} bytes\\): ", errors);
        Assert.Equal("found=1 right=True refused=0 folders=1\n", found);
    }

    // Which phase of a save the kill met.
    private string StateLeft()
    {
        string? unfinished = Directory.GetDirectories(folder.Path).FirstOrDefault(d => Path.GetFileName(d).Contains('.', StringComparison.Ordinal));
        return unfinished is null ? "between two saves"
            : unfinished.Contains("removed", StringComparison.Ordinal) ? "while an old one is removed"
            : File.Exists(Path.Combine(unfinished, CheckpointManifest.FileName)) ? "manifest written, name not given"
            : $"{Directory.GetFiles(unfinished, "*.safetensors").Length} of 4 files begun, {Directory.GetFiles(unfinished, "*.receipt").Length} receipts";
    }
}
