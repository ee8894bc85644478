using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;
using System.Text.Json;
using Dho2.Checkpoints;
using Dho2.Checkpoints.Tests;
using Dho2.Communication;
using Dho2.Curvature;
using Dho2.Data;
using Dho2.Planning;
using Dho2.Records;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Tests.Training;

/// <summary>What a run writes down while it trains is what happened, and does not change it.</summary>
public sealed class RecordingTests : IDisposable
{
    private static readonly CurvatureOptions Curvature = new(2, 1, Every: 6, Warmup: 5, Batch: 0, Alpha: 0.1, MaxScale: 3, CurvatureScope.Global);

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    private string Path => folder.File("record");

    [Theory]
    [InlineData(AdmmRule.Consensus)]
    [InlineData(null)]
    public void TheRecordSaysWhatTheEventsSaid(AdmmRule? rule)
    {
        var steps = new List<StepCompleted>();
        var estimates = new List<CurvatureRefreshed>();
        var epochs = new List<EpochCompleted>();
        long[] held = [];
        PlanOverrides overrides = new() { Curvature = Curvature, Replicas = 2, Admm = rule is { } chosen ? new AdmmOptions(4, 0.2, 1, chosen) : null };
        Fit(Options(overrides), trainer =>
        {
            trainer.StepCompleted += steps.Add;
            trainer.CurvatureRefreshed += estimates.Add;
            trainer.EpochCompleted += epochs.Add;
        }, trainer => held = [.. trainer.Ranks.Select(rank => rank.HeldBytes)]);
        Assert.All(held, bytes => Assert.True(bytes > 0));

        RunRecord record = RunRecord.Open(Path);
        Assert.Equal(steps.Select(s => (s.Result.Step, s.Epoch, s.Result.Loss, s.Result.GradientNorm, s.Result.LearningRate, s.Result.Samples)), record.Steps.Select(s => (s.Step, s.Epoch, s.Loss, s.GradientNorm, s.LearningRate, s.Samples)));
        Assert.Equal(epochs.Select(e => (e.Epoch, e.TrainingLoss, e.Test?.Loss, e.Test?.Accuracy)), record.Epochs.Select(e => (e.Epoch, e.TrainingLoss, e.TestLoss, e.TestAccuracy)));
        Assert.NotEmpty(estimates);
        Assert.Equal(estimates.Select(e => (e.Step, e.Stage, e.Estimate.Products)), record.Estimates.Select(e => (e.Step, e.Stage, e.Products)));
        Assert.All(estimates.Zip(record.Estimates), pair =>
        {
            Assert.Equal(pair.First.Estimate.Eigenvalues, pair.Second.Eigenvalues);
            Assert.Equal(pair.First.Estimate.ResidualBounds, pair.Second.ResidualBounds);
        });
        Assert.Equal(
            steps.Where(s => s.Result.Round is not null).Select(s => (s.Result.Step, s.Result.Round!.PrimalResidual, s.Result.Round.DualResidual, s.Result.Round.Sigma, s.Result.Round.SigmaCeiling)),
            record.Rounds.Select(r => (r.Step, r.PrimalResidual, r.DualResidual, r.Sigma, r.SigmaCeiling)));
        Assert.Equal(rule is null ? 0 : steps.Count / 4, record.Rounds.Count);
        Assert.IsType<EndEntry>(record.Sessions.Single().Last);
        Assert.Null(((EndEntry)record.Sessions[0].Last).Failure);

        Assert.Equal(4, record.Ranks.Count);
        Assert.All(record.Manifest.Ranks, rank =>
        {
            RankEntry last = record.LastOf(rank.Rank)!;
            Assert.True(last.Sent > 0 && last.PredictedSent is null or > 0);
            Assert.Equal(held[rank.Rank], last.Held);
            Assert.Equal(rank.Rank == 0, last.Process is not null);
        });
        ProcessMemory memory = record.LastOf(0)!.Process!;
        Assert.True(memory.Peak >= memory.Resident && memory.Baseline > 0);
    }

    [Fact]
    public void RecordingDoesNotChangeTheRun()
    {
        PlanOverrides overrides = new() { Curvature = Curvature };
        double[] Losses(TrainingOptions options)
        {
            var losses = new List<double>();
            Fit(options, trainer => trainer.StepCompleted += step => losses.Add(step.Result.Loss));
            return [.. losses];
        }

        Assert.Equal(Losses(Options(overrides) with { Record = null }), Losses(Options(overrides)));
    }

    [Theory]
    [InlineData(CurvatureMode.Blocking)]
    [InlineData(CurvatureMode.Amortized)]
    [InlineData(CurvatureMode.Dedicated)]
    public void TheTraceHasEveryInstructionOfTheTracedStepsOnceInOrder(CurvatureMode mode)
    {
        Plan? plan = null;
        Fit(
            Options(new() { Curvature = Curvature with { Mode = mode, Every = 12, Warmup = 8, Delay = mode == CurvatureMode.Dedicated ? 1 : 0 }, MicroBatches = 3 }, traceSteps: 2),
            trainer => plan = trainer.Plan);

        // As any reader of the format would: complete events with times, on named threads.
        using JsonDocument json = JsonDocument.Parse(File.ReadAllText(System.IO.Path.Combine(Path, "trace-0.json")));
        JsonElement[] events = [.. json.RootElement.GetProperty("traceEvents").EnumerateArray()];
        string[] beside = mode == CurvatureMode.Dedicated ? ["rank 2: curvature of stage 0", "rank 3: curvature of stage 1"] : [];
        Assert.Equal(["rank 0: stage 0", "rank 1: stage 1", .. beside], events.Where(e => e.GetProperty("name").GetString() == "thread_name").Select(e => e.GetProperty("args").GetProperty("name").GetString()));
        JsonElement[] complete = [.. events.Where(e => e.GetProperty("ph").GetString() == "X")];
        for (int rank = 0; rank < 2; rank++)
        {
            JsonElement[] own = [.. complete.Where(e => e.GetProperty("tid").GetInt32() == rank)];
            double end = 0;
            foreach (JsonElement span in own)
            {
                // Rounded to nanoseconds.
                Assert.True(span.GetProperty("ts").GetDouble() >= end - 0.002);
                Assert.True(span.GetProperty("dur").GetDouble() >= 0);
                end = span.GetProperty("ts").GetDouble() + span.GetProperty("dur").GetDouble();
            }

            // The last batch of an epoch is a smaller one, but has as many micro-batches.
            int[] steps = [.. own.Select(e => e.GetProperty("args").GetProperty("step").GetInt32()).Distinct()];
            Assert.Equal([3, 4, 8, 9, 20, 21], steps);
            foreach (int step in steps)
            {
                string[] instructions = [.. plan!.Schedule[rank].Select(i => $"{i.Kind} {i.MicroBatch}")];
                Assert.Equal(instructions, own
                    .Where(e => e.GetProperty("args").GetProperty("step").GetInt32() == step && Enum.IsDefined(typeof(InstructionKind), e.GetProperty("name").GetString()!))
                    .Select(e => $"{e.GetProperty("name").GetString()} {e.GetProperty("args").GetProperty("micro_batch").GetInt32()}"));
            }

            Assert.Contains(own, e => e.GetProperty("cat").GetString() == TraceCategory.Update);
            Assert.Equal(mode != CurvatureMode.Dedicated, own.Any(e => e.GetProperty("name").GetString() == "downward sweep of the curvature"));
        }

        ChromeTrace read = ChromeTrace.Read(System.IO.Path.Combine(Path, "trace-0.json"));
        Assert.Equal(complete.Length, read.Spans.Count);
        Assert.False(read.Truncated);
    }

    [Fact]
    public void ATraceThatIsOffCostsNothing()
    {
        static long Allocated(RankActivity activity)
        {
            activity.Enter("warm-up");
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int i = 0; i < 1000; i++)
            {
                activity.Enter("Forward", 0, i, 0);
            }

            return GC.GetAllocatedBytesForCurrentThread() - before;
        }

        long plain = Allocated(new RankActivity());
        Assert.Equal(plain, Allocated(new RankActivity { Trace = new ActivityTrace(16) }));
        var full = new ActivityTrace(16);
        full.Begin();
        Assert.Equal(plain, Allocated(new RankActivity { Trace = full }));
        Assert.True(full.IsFull);
        Assert.Equal(16, full.Complete.Length);
    }

    [Fact]
    public void ARunThatGoesOnGoesOnWithItsRecord()
    {
        TrainingOptions options = Options(new()) with { Checkpoints = new CheckpointOptions { Folder = folder.File("checkpoints"), Every = 4, Asynchronous = false } };
        Assert.ThrowsAny<Exception>(() => Fit(options, trainer => trainer.StepCompleted += step =>
        {
            if (step.Result.Step == 6)
            {
                throw new OperationCanceledException("stopped");
            }
        }));

        // As a process leaves it that is killed while it writes.
        string file = System.IO.Path.Combine(Path, "rank-0.jsonl");
        File.AppendAllText(file, "{\"kind\":\"step\",\"epo");
        Assert.Equal(6, RunRecord.Open(Path).Steps.Max(s => s.Step));
        Assert.Contains("stopped", ((EndEntry)RunRecord.Open(Path).Sessions[0].Last).Failure, StringComparison.Ordinal);

        Fit(options);
        RunRecord record = RunRecord.Open(Path);
        Assert.Equal(Enumerable.Range(1, 24).Select(i => (long)i), record.Steps.Select(s => s.Step));
        Assert.Equal([0L, 4], record.Sessions.Select(s => s.Start.Step));
        Assert.EndsWith("step-00000004", record.Sessions[1].Start.Resumed, StringComparison.Ordinal);
        Assert.Equal([1, 2, 3], record.Epochs.Select(e => e.Epoch));
    }

    [Fact]
    public void AFullDiskEndsTheRecordWithOneWarningAndNotTheRun()
    {
        if (!File.Exists("/dev/full"))
        {
            return;
        }

        Directory.CreateDirectory(Path);
        File.CreateSymbolicLink(System.IO.Path.Combine(Path, "rank-0.jsonl"), "/dev/full");
        var failures = new List<RecordingFailed>();
        long steps = 0;
        Fit(Options(new()), trainer =>
        {
            trainer.RecordingFailed += failures.Add;
            trainer.StepCompleted += step => steps = step.Result.Step;
        });
        Assert.Equal(24, steps);
        Assert.EndsWith("rank-0.jsonl", Assert.Single(failures).Path, StringComparison.Ordinal);
    }

    [Fact]
    public void TheThreadThatReducesGradientsIsTracedBesideItsRank()
    {
        Fit(Options(new() { Replicas = 2 }) with { GradientBuckets = 2 });
        ChromeTrace trace = RunRecord.Open(Path).Trace!;

        // Four ranks, and a thread beside each first stage: two reductions in each of the steps 3 to 10.
        Assert.Equal(["rank 0: reduction of gradients", "rank 2: reduction of gradients"], trace.Ranks.Where(r => r.Key >= 4).OrderBy(r => r.Key).Select(r => r.Value));
        foreach (int thread in new[] { 4, 6 })
        {
            TraceSpan[] spans = [.. trace.Spans.Where(s => s.Rank == thread)];
            Assert.All(spans, s => Assert.Equal((TraceCategory.Reduce, 0), (s.Category, s.Stage)));
            Assert.Equal(Enumerable.Range(3, 8).SelectMany(step => new long[] { step, step }), spans.Select(s => s.Step));
        }
    }

    [Fact]
    public void RanksThatEstimateBesideTrainingAreTraced()
    {
        Fit(Options(new() { Curvature = Curvature with { Mode = CurvatureMode.Dedicated, Delay = 3 } }));
        RunRecord record = RunRecord.Open(Path);
        Assert.Equal([true, true, false, false], record.Manifest.Ranks.Select(r => r.Trains));
        ChromeTrace trace = record.Trace!;
        Assert.Equal("rank 3: curvature of stage 1", trace.Ranks[3]);
        foreach (int rank in new[] { 2, 3 })
        {
            // Of the snapshots before steps 5 and 11: those and no more.
            TraceSpan[] spans = [.. trace.Spans.Where(s => s.Rank == rank)];
            Assert.Equal([5, 11], spans.Select(s => s.Step).Distinct());
            Assert.Equal("receiving a snapshot", spans[0].Name);
            Assert.Equal("sending eigenpairs", spans[^1].Name);
            Assert.Contains(spans, s => s.Category == TraceCategory.Curvature && s.Name.EndsWith("sweep of the curvature", StringComparison.Ordinal));
        }
    }

    [Fact]
    public void AFolderThatCannotBeMadeIsRefusedAtOnce()
    {
        File.WriteAllText(Path, "");
        Assert.ThrowsAny<IOException>(() => Fit(Options(new())));
        Assert.Throws<ArgumentException>(() => new RecordOptions { Folder = " " });
        Assert.Throws<ArgumentOutOfRangeException>(() => new RecordOptions { Folder = "a", Every = 0 });
        Assert.Throws<ArgumentOutOfRangeException>(() => new RecordOptions { Folder = "a", TraceSteps = -1 });
    }

    [Fact]
    public void DamageIsRefusedWithFileAndLineAndHalfALastLineIsNot()
    {
        Fit(Options(new()));
        string file = System.IO.Path.Combine(Path, "rank-0.jsonl");
        byte[] good = File.ReadAllBytes(file);
        int lines = good.Count(b => b == '\n');
        int last = Array.LastIndexOf(good, (byte)'\n', good.Length - 2) + 1;
        for (int length = last; length < good.Length; length++)
        {
            File.WriteAllBytes(file, good[..length]);
            Assert.IsNotType<EndEntry>(RunRecord.Open(Path).Sessions[0].Last);
        }

        string[] text = Encoding.UTF8.GetString(good).Split('\n');
        foreach ((int line, string bad) in new[] { (3, "{"), (5, ""), (2, "null"), (4, "{\"kind\":\"step\",\"step\":3,\"time\":1}"), (4, "{\"kind\":\"spring\",\"step\":3,\"time\":1}"), (6, "{\"kind\":\"end\",\"step\":-3,\"time\":1,\"failure\":null}"), (lines, "}") })
        {
            string[] changed = [.. text];
            changed[line - 1] = bad;
            File.WriteAllText(file, string.Join('\n', changed));
            RecordException refused = Assert.Throws<RecordException>(() => RunRecord.Open(Path));
            Assert.Equal((file, line), (refused.Path, refused.Line));
            Assert.StartsWith($"{file}:{line}: ", refused.Message, StringComparison.Ordinal);
        }

        File.WriteAllBytes(file, good);
        string manifest = System.IO.Path.Combine(Path, RecordManifest.FileName);
        string whole = File.ReadAllText(manifest);
        File.WriteAllText(manifest, whole.Replace("\"version\": 1,", "\"version\": 7,", StringComparison.Ordinal));
        Assert.Contains("its version is 7; this tool reads version 1", Assert.Throws<RecordException>(() => RunRecord.Open(Path)).Message, StringComparison.Ordinal);
        File.WriteAllText(manifest, whole[..^40]);
        Assert.Contains("it is damaged", Assert.Throws<RecordException>(() => RunRecord.Open(Path)).Message, StringComparison.Ordinal);
        File.Delete(manifest);
        Assert.Contains("it is no record of a run", Assert.Throws<RecordException>(() => RunRecord.Open(Path)).Message, StringComparison.Ordinal);
        Assert.Contains("there is no such folder", Assert.Throws<RecordException>(() => RunRecord.Open(folder.File("absent"))).Message, StringComparison.Ordinal);
    }

    private TrainingOptions Options(PlanOverrides overrides, int traceSteps = 8) => new()
    {
        LearningRate = 0.1,
        Epochs = 3,
        Seed = 4,
        Record = new RecordOptions { Folder = Path, TraceSteps = traceSteps },
        Overrides = overrides with { DType = DType.Float64, Batch = overrides.Replicas is { } replicas ? 32 / replicas : 32 },
    };

    // 8 steps an epoch, of which the last has fewer samples.
    private static void Fit(TrainingOptions options, Action<Trainer>? prepare = null, Action<Trainer>? look = null)
    {
        using TensorDataset data = CreateData(250, 1);
        using TensorDataset test = CreateData(50, 2);
        using var world = World.Join();
        using var trainer = new Trainer(ChainModel.Define(2, blocks: 3), world, options);
        prepare?.Invoke(trainer);
        trainer.Fit(data, test);
        look?.Invoke(trainer);
    }

    private static TensorDataset CreateData(int samples, int seed)
    {
        (Tensor points, Tensor labels) = ChainModel.Data(samples, ScalarType.Float64, seed);
        using (points)
        using (labels)
        {
            return new TensorDataset(points, labels);
        }
    }
}
