using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.InteropServices;
using System.Threading.Tasks;

namespace Dho2.Checkpoints.Tests;

/// <summary>Checkpoints whose every number follows from the step, so that anybody can tell whether one is right.</summary>
internal static class SampleCheckpoint
{
    public const int Ranks = 2;

    /// <summary>Writes and publishes a checkpoint as two ranks would, side by side.</summary>
    /// <param name="store">The store.</param>
    /// <param name="step">The step.</param>
    /// <param name="count">Elements of each tensor.</param>
    /// <param name="token">Names the attempt.</param>
    public static string Save(CheckpointStore store, long step, int count, uint token = 1)
    {
        CheckpointDraft draft = store.Begin(step, token);
        try
        {
            Parallel.For(0, Ranks, rank =>
            {
                StoredFile weights = draft.Write($"weights-stage-{rank}.safetensors", StoredKind.Weights, rank, 0, [Tensor($"layer{rank}.weight", step, count)]);
                StoredFile state = draft.Write($"state-stage-{rank}.safetensors", StoredKind.State, rank, 0, [Tensor($"momentum/layer{rank}.weight", -step, count)]);
                draft.Leave(rank, new RankReceipt([weights, state], [new StoredTensor($"layer{rank}.weight", rank, "F64", [count])], []));
            });
            IReadOnlyList<RankReceipt> receipts = draft.Collect(Ranks, TimeSpan.FromSeconds(30));
            return draft.Publish(Manifest(step, receipts));
        }
        catch (AggregateException error)
        {
            draft.Discard();
            throw error.InnerExceptions[0];
        }
        catch
        {
            draft.Discard();
            throw;
        }
    }

    /// <summary>Whether all numbers are those of the checkpoint's step.</summary>
    public static bool IsRight(CheckpointFolder folder)
    {
        foreach (StoredFile stored in folder.Manifest.Files)
        {
            using SafetensorsFile file = SafetensorsFile.Open(folder.PathOf(stored));
            SafetensorsEntry entry = file.Entries.Single();
            double[] found = new double[entry.Count];
            file.Read(entry, 0, MemoryMarshal.AsBytes(found.AsSpan()));
            if (!found.SequenceEqual(Numbers(stored.Kind == StoredKind.Weights ? folder.Manifest.Step : -folder.Manifest.Step, found.Length)))
            {
                return false;
            }
        }

        return folder.Manifest.Files.Count == 2 * Ranks;
    }

    public static CheckpointManifest Manifest(long step, IReadOnlyList<RankReceipt> receipts) => new()
    {
        Model = "Tests.Sample",
        Step = step,
        Epoch = 1,
        Created = DateTimeOffset.UnixEpoch,
        Versions = new Dictionary<string, string> { ["dho2"] = "0.1.0" },
        Plan = new StoredPlan("abc", Ranks, 1, "[]"),
        Configuration = new Dictionary<string, string> { ["seed"] = "1" },
        Parameters = [.. receipts.SelectMany(r => r.Parameters)],
        Buffers = [.. receipts.SelectMany(r => r.Buffers)],
        Files = [.. receipts.SelectMany(r => r.Files)],
    };

    public static TensorToWrite Tensor(string name, long step, int count) => new(
        name, SafetensorsType.Float64, [count], sink => sink.Write(MemoryMarshal.AsBytes(Numbers(step, count).AsSpan())));

    private static double[] Numbers(long step, int count) => [.. Enumerable.Range(0, count).Select(i => step + (i / 1024.0))];
}
