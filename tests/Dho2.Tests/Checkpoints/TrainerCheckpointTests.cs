using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using Dho2.Checkpoints;
using Dho2.Checkpoints.Tests;
using Dho2.Data;
using Dho2.Planning;
using Dho2.Tests.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Tests.Checkpoints;

/// <summary>What a user of <c>Fit</c> sees of checkpoints.</summary>
public sealed class TrainerCheckpointTests : IDisposable
{
    private const int StepsPerEpoch = 3;

    private readonly TemporaryFolder folder = new();
    private readonly TensorDataset data = CreateData(32 * StepsPerEpoch);

    private string Root => folder.File("run");

    public void Dispose()
    {
        data.Dispose();
        folder.Dispose();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void FitSavesAfterEveryEpochKeepsThreeAndGoesOnByItself(bool asynchronous)
    {
        var saved = new List<CheckpointSaved>();
        using (Trainer first = Create(epochs: 4, asynchronous: asynchronous))
        {
            Assert.Null(first.Resumed);
            first.CheckpointSaved += saved.Add;
            first.Fit(data);
        }

        Assert.Equal([3L, 6, 9, 12], saved.Select(s => s.Step));
        Assert.All(saved, s => Assert.True(s is { Failure: null, Bytes: > 1000 } && s.Duration >= s.Held));
        Assert.Equal([12L, 9, 6], new CheckpointStore(Root).Steps);

        // All done: nothing is trained. More epochs: only those.
        using (Trainer again = Create(epochs: 4))
        {
            Assert.Equal((12, new CheckpointStore(Root).PathOf(12)), (again.Resumed!.Step, again.Resumed.Path));
            Assert.Equal(12, again.Steps);
            again.StepCompleted += _ => Assert.Fail("a step was made");
            again.Fit(data);
        }

        using Trainer longer = Create(epochs: 6);
        var steps = new List<(long, int)>();
        longer.StepCompleted += step => steps.Add((step.Result.Step, step.Epoch));
        longer.Fit(data);
        Assert.Equal([(13L, 5), (14, 5), (15, 5), (16, 6), (17, 6), (18, 6)], steps);
        Assert.Equal(18, new CheckpointStore(Root).Steps[0]);
    }

    [Fact]
    public void ASecondCallOfFitGoesOnToo()
    {
        List<double> whole = TwoCalls(null);
        using (Trainer trainer = Create(epochs: 2, every: 4))
        {
            trainer.Fit(data);
            int step = 0;
            trainer.StepCompleted += _ =>
            {
                if (++step == 4)
                {
                    throw new OperationCanceledException();
                }
            };
            Assert.Throws<OperationCanceledException>(() => trainer.Fit(data));
        }

        // The script runs again from its start: its first call has been completed, its second goes on at step 8.
        List<double> resumed = TwoCalls(4);
        Assert.Equal(whole[8..], resumed);

        List<double> TwoCalls(int? every)
        {
            var losses = new List<double>();
            using Trainer trainer = every is null ? Create(epochs: 2, saves: false) : Create(epochs: 2, every: every.Value);
            trainer.StepCompleted += completed => losses.Add(completed.Result.Loss);
            trainer.Fit(data);
            trainer.Fit(data);
            Assert.Equal(4 * StepsPerEpoch, trainer.Steps);
            return losses;
        }
    }

    [Fact]
    public void ADamagedNewestIsRefusedWithItsFileAndTheOlderOneIsUsed()
    {
        Fit(epochs: 3);
        var store = new CheckpointStore(Root);
        string file = Path.Combine(store.PathOf(9), "state-stage-1.safetensors");
        Flip(file);
        using (Trainer trainer = Create(epochs: 3))
        {
            Assert.Equal(6, trainer.Resumed!.Step);
            CheckpointException refused = Assert.Single(trainer.Resumed.Refused);
            Assert.Equal(file, refused.Path);
            Assert.Contains("checksum", refused.Cause, StringComparison.Ordinal);
            trainer.Fit(data);
        }

        // The damaged one was replaced by the run that went on.
        CheckpointFolder.Open(store.PathOf(9)).VerifyAll();

        foreach (long step in store.Steps)
        {
            Flip(Path.Combine(store.PathOf(step), CheckpointManifest.FileName));
        }

        string message = Assert.Throws<CheckpointException>(() => Create(epochs: 3)).Message;
        Assert.Contains("none of its 3 checkpoints can be used", message, StringComparison.Ordinal);
        Assert.Contains("step-00000009", message, StringComparison.Ordinal);
    }

    [Fact]
    public void AnotherModelSeedBaseOrTypeIsRefusedByName()
    {
        Fit(epochs: 1);
        void Refused(string expected, Func<Trainer> create) =>
            Assert.Contains(expected, Assert.Throws<CheckpointException>(create).Message, StringComparison.Ordinal);
        Refused("seed 1, this one 2", () => Create(seed: 2));
        Refused("base HeavyBall, this one Adam", () => Create(overrides: new() { Base = BaseKind.Adam }));
        Refused("F32 of shape", () => Create(overrides: new() { DType = DType.Float64 }));
        Refused("it has 6 parameters; this run's model has 8", () => Create(blocks: 3));
        Refused("has no parameter 'block0.norm", () => Create(norm: true));
    }

    [Fact]
    public void AnotherDataSetInMidEpochIsRefused()
    {
        using (Trainer trainer = Create(every: 2, epochs: 2))
        {
            trainer.StepCompleted += step => _ = step.Result.Step == 3 ? throw new OperationCanceledException() : 0;
            Assert.Throws<OperationCanceledException>(() => trainer.Fit(data));
        }

        using TensorDataset other = CreateData(32 * 5);
        using Trainer next = Create(every: 2, epochs: 2);
        Assert.Contains("after 64 of 96 training samples; this data set has 160", Assert.Throws<CheckpointException>(() => next.Fit(other)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void TwoRunsCannotSaveToOneFolderAtOnce()
    {
        using Trainer one = Create();
        Assert.Contains("is another run saving to this folder?", Assert.Throws<CheckpointException>(() => Create()).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void ACheckpointThatCannotBeWrittenEndsTheRunOrIsReported(bool stops)
    {
        // The folder turns into a file under the run's hands.
        using Trainer trainer = Create(epochs: 3, stopOnFailure: stops);
        var saved = new List<CheckpointSaved>();
        trainer.CheckpointSaved += saved.Add;
        trainer.StepCompleted += step =>
        {
            if (step.Result.Step == 1)
            {
                Directory.Delete(Root, recursive: true);
                File.WriteAllText(Root, "");
            }
        };
        if (stops)
        {
            string message = Assert.Throws<CheckpointException>(() => trainer.Fit(data)).Message;
            Assert.Contains(Path.Combine(Root, "step-00000003.partial-"), message, StringComparison.Ordinal);
        }
        else
        {
            trainer.Fit(data);
            Assert.Equal([3L, 6, 9], saved.Select(s => s.Step));
            Assert.All(saved, s => Assert.Null(s.Path));
            Assert.All(saved, s => Assert.Contains("the folder cannot be made", s.Failure!.Message, StringComparison.Ordinal));
        }
    }

    [Fact]
    public void SaveAndLoadByHandAndTheFolderOfTheRunMayBeTheSame()
    {
        using Trainer trainer = Create(epochs: 1);
        trainer.Fit(data);
        double loss = trainer.Evaluate(data).Loss;
        string path = trainer.Save(folder.File("mine"));
        Assert.Equal(Path.Combine(folder.File("mine"), "step-00000003"), path);
        Assert.Equal(new CheckpointStore(Root).PathOf(3), trainer.Save(Root));
        trainer.Fit(data);
        Assert.NotEqual(loss, trainer.Evaluate(data).Loss);
        Assert.Equal(3, trainer.Load(path).Step);
        Assert.Equal((3L, loss), (trainer.Steps, trainer.Evaluate(data).Loss));
        trainer.Fit(data);
        Assert.Equal(3, trainer.Load(folder.File("mine")).Step);
        Assert.Contains("no checkpoint", Assert.Throws<CheckpointException>(() => { trainer.Load(folder.File("nothing")); }).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void WeightsThatPyTorchNamedOtherwiseAreTakenByATable()
    {
        using Trainer source = Create(saves: false);
        source.Fit(data);
        using nn.Module model = ChainModel.Define(1, 2).Unsplit(9);
        source.CopyTo(model);
        Dictionary<string, string> names = model.state_dict().Keys.ToDictionary(name => name, name => "net." + name.Replace("block", "layers.", StringComparison.Ordinal));
        string file = folder.File("pytorch.safetensors");
        ModelWeights.Save(model, file, names);

        using Trainer target = Create(seed: 99, saves: false);
        string message = Assert.Throws<CheckpointException>(() => Create(seed: 98, saves: false).LoadWeights(file)).Message;

        // Whichever stage looks first.
        Assert.Contains("it has no 'block", message, StringComparison.Ordinal);
        target.LoadWeights(file, names);
        Assert.Equal(source.Evaluate(data).Loss, target.Evaluate(data).Loss);

        using nn.Module copy = ChainModel.Define(1, 2).Unsplit(10);
        Assert.Contains("no place for net.layers.0.fc.bias", Assert.Throws<CheckpointException>(
            () => ModelWeights.Load(copy, file, names.Where(n => !n.Key.Contains("bias", StringComparison.Ordinal)).ToDictionary(n => n.Key, n => n.Value))).Message
                .Replace("it has no 'block0.fc.bias'", "no place for net.layers.0.fc.bias", StringComparison.Ordinal), StringComparison.Ordinal);
    }

    [Fact]
    public void TensorsOfOtherTypesAreConvertedAndTiedOnesComeUnderAnyName()
    {
        using var model = new Tied();
        double[] weight = [1, 2, 3, 4];
        string file = folder.File("double.safetensors");
        SafetensorsWriter.Write(
            file,
            [new("head.weight", SafetensorsType.Float64, [2, 2], sink => sink.Write(System.Runtime.InteropServices.MemoryMarshal.AsBytes(weight.AsSpan())))]);
        ModelWeights.Load(model, file);
        Assert.Equal([1f, 2, 3, 4], model.First.data<float>().ToArray());
        string saved = folder.File("once.safetensors");
        ModelWeights.Save(model, saved);
        using SafetensorsFile opened = SafetensorsFile.Open(saved);
        Assert.Single(opened.Entries);
    }

    [Fact]
    public void TheNumberOfLiveTensorsStaysTheSameFromCheckpointToCheckpoint()
    {
        using Trainer trainer = Create(epochs: 6);
        var counts = new List<long>();
        trainer.EpochCompleted += epoch =>
        {
            LiveTensors.Settle();
            counts.Add(LiveTensors.Count);
        };
        trainer.Fit(data);

        // From the first checkpoint on there is a copy of the state.
        Assert.All(counts.Skip(2), count => Assert.Equal(counts[2], count));
    }

    private static TensorDataset CreateData(int samples)
    {
        (Tensor points, Tensor labels) = ChainModel.Data(samples, float32);
        using (points)
        using (labels)
        {
            return new TensorDataset(points, labels);
        }
    }

    private static void Flip(string path)
    {
        byte[] bytes = File.ReadAllBytes(path);
        bytes[^1] ^= 4;
        File.WriteAllBytes(path, bytes);
    }

    private void Fit(int epochs)
    {
        using Trainer trainer = Create(epochs: epochs);
        trainer.Fit(data);
    }

    private Trainer Create(
        int epochs = 1,
        int every = 0,
        long seed = 1,
        int blocks = 2,
        bool norm = false,
        bool saves = true,
        bool asynchronous = true,
        bool stopOnFailure = true,
        PlanOverrides? overrides = null) => new(
            ChainModel.Define(2, blocks, batchNorm: norm),
            World.Join(),
            new()
            {
                Epochs = epochs,
                Seed = seed,
                LearningRate = 0.05,
                Overrides = overrides,
                Checkpoints = saves
                    ? new CheckpointOptions { Folder = Root, Every = every, Asynchronous = asynchronous, StopOnFailure = stopOnFailure }
                    : null,
            });

    private sealed class Tied : nn.Module
    {
        private readonly TorchSharp.Modules.Parameter head;

        public Tied()
            : base(nameof(Tied))
        {
            First = nn.Parameter(zeros(2, 2));
            head = First;
            register_parameter("tokens.weight".Replace('.', '_'), First);
            var inner = nn.Linear(2, 2, hasBias: false);
            inner.weight = head;
            register_module("head", inner);
        }

        public TorchSharp.Modules.Parameter First { get; }
    }
}
