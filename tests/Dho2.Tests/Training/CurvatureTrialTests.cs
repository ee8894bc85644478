using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using Dho2.Checkpoints;
using Dho2.Checkpoints.Tests;
using Dho2.Communication;
using Dho2.Curvature;
using Dho2.Data;
using Dho2.Pipelines;
using Dho2.Planning;
using Dho2.Records;
using Dho2.Tests.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Tests.Training;

/// <summary>Trials of curvature: they say what it comes to, and change nothing but where they are told to.</summary>
public sealed class CurvatureTrialTests
{
    private const int Products = 6;
    private const int Every = 20;

    internal static readonly CurvatureOptions Options = new(
        Rank: 3, Smallest: 0, Every, Warmup: 5, Batch: 0, Alpha: 0.1, MaxScale: 1, CurvatureScope.Global);

    private static readonly LanczosSettings Fixed = new() { Tolerance = 0, MaxOrder = Products, CertificateProducts = 0, BasisType = ScalarType.Float64 };

    // A trial after every estimate that leaves room for it.
    internal static readonly CurvatureTrial Often = new() { AfterEstimate = 1, RepeatEvery = 1, Steps = 4 };

    [Theory]
    [InlineData("HeavyBall-hybrid-alone")]
    [InlineData("Sgd-hybrid-consensus")]
    [InlineData("Adam-hybrid-consensus")]
    [InlineData("Nesterov-hybrid-dual")]
    [InlineData("blocks")]
    [InlineData("reduced")]
    [InlineData("sharded-Adam")]
    [InlineData("sharded-blocks")]
    [InlineData("bfloat16")]
    [InlineData("plateau")]
    public void TheRunsCourseStaysBitForBitWhatItIsWithoutTrials(string name)
    {
        var compared = new List<CurvatureCompared>();
        List<string> with = RestartCases.Run(name, folder: null, stop: false, Often, compared.Add);
        Assert.Equal(RestartCases.Run(name, folder: null, stop: false), with);

        // An epoch has seven steps: trials cross its end.
        Assert.NotEmpty(compared);
        Assert.All(compared, c => Assert.Equal(4, c.Steps));
        Assert.All(compared, c => Assert.InRange(c.FirstStep, 3, 21 - 3));
        if (RestartCases.All[name].Overrides!.Admm is null)
        {
            Assert.Equal([3L, 7, 11, 15], compared.Select(c => c.FirstStep));
        }
    }

    [Theory]
    [InlineData(CurvatureMode.Blocking, AdmmRule.Consensus)]
    [InlineData(CurvatureMode.Blocking, null)]
    [InlineData(CurvatureMode.Amortized, AdmmRule.Consensus)]
    [InlineData(CurvatureMode.Amortized, null)]
    public void BytesRoundsAndEventsAreThoseOfTheRunAlone(CurvatureMode mode, AdmmRule? rule)
    {
        PlanOverrides overrides = new()
        {
            Replicas = 2,
            Batch = 16,
            Curvature = Options with { Every = 6, Mode = mode },
            Admm = rule is { } chosen ? new AdmmOptions(3, 0.1, 1, chosen) : null,
        };
        Run without = Fit(2, overrides, null, epochs: 36);
        Run with = Fit(2, overrides, new() { Steps = 5 }, epochs: 36);
        CurvatureCompared compared = Assert.Single(with.Compared);
        Assert.Equal((with.Refreshes[1], 5), (compared.FirstStep, compared.Steps));
        Assert.Empty(without.Compared);
        Assert.Equal(without.Steps, with.Steps);
        Assert.Equal(without.Refreshes, with.Refreshes);
    }

    [Fact]
    public void AtTheEndOfFitThereIsATrialIfItsStepsAreLeft()
    {
        // Estimates before steps 5 and 25; the trial takes ten steps, 25 to 34.
        Assert.Single(Fit(1, new() { Curvature = Options }, new() { Steps = 10 }, epochs: 34).Compared);
        Assert.Empty(Fit(1, new() { Curvature = Options }, new() { Steps = 10 }, epochs: 33).Compared);
    }

    [Fact]
    public void CurvatureThatGainsMuchPays()
    {
        // The base hardly moves; Newton steps do.
        Run run = Fit(1, new() { Curvature = Options }, new(), epochs: 60, rate: 1e-4, clock: new ForwardClock());
        CurvatureCompared compared = Assert.Single(run.Compared);
        Assert.Equal(CurvatureVerdict.Pays, compared.Verdict);
        Assert.Equal((25L, Every), (compared.FirstStep, compared.Steps));
        Assert.True(compared.StepRatio > 4, $"{compared}");
        CheckCost(compared);
        Assert.StartsWith("Curvature pays here: steps 25 to 44 ", compared.ToText(), StringComparison.Ordinal);
        Assert.False(compared.Dropped);
    }

    [Theory]
    [InlineData(UnpaidCurvature.Keep)]
    [InlineData(UnpaidCurvature.Drop)]
    public void CurvatureThatGainsNothingIsDroppedWhereThatIsWanted(UnpaidCurvature decision)
    {
        // A small rate, and a Newton part that does nothing at all where the gradient is largest.
        PlanOverrides overrides = new() { Curvature = Options with { Alpha = 0 } };
        Run run = Fit(1, overrides, new() { WhenItDoesNotPay = decision }, epochs: 90, rate: 1e-3, clock: new ForwardClock());
        CurvatureCompared compared = Assert.Single(run.Compared);
        Assert.Equal(CurvatureVerdict.DoesNotPay, compared.Verdict);
        Assert.True(compared.StepRatio < 1, $"{compared}");
        CheckCost(compared);
        bool dropped = decision == UnpaidCurvature.Drop;
        Assert.Equal(dropped, compared.Dropped);
        Assert.Equal(dropped ? [5L, 25] : [5L, 25, 45, 65, 85], run.Refreshes);
        Assert.Equal(dropped, run.WithoutSubspace);

        // Up to the trial's last step it is the run without a trial, and from there on faster.
        Run undisturbed = Fit(1, overrides, null, epochs: 90, rate: 1e-3);
        Assert.Equal(undisturbed.Steps.Take(44), run.Steps.Take(44));
        Assert.Equal(dropped, run.Steps[^1].Loss < undisturbed.Steps[^1].Loss);
    }

    [Theory]
    [InlineData(CurvatureMode.Blocking, CurvatureScope.Global, null)]
    [InlineData(CurvatureMode.Amortized, CurvatureScope.Global, null)]
    [InlineData(CurvatureMode.Blocking, CurvatureScope.Stage, null)]
    [InlineData(CurvatureMode.Blocking, CurvatureScope.Global, AdmmRule.Consensus)]
    [InlineData(CurvatureMode.Amortized, CurvatureScope.Global, AdmmRule.Consensus)]
    public void AllRanksDecideAsTheLeadersClockSays(CurvatureMode mode, CurvatureScope scope, AdmmRule? rule)
    {
        // By the leader's clock estimates are dear; by the others' no time passes, so that they cost nothing. An Amortized one is under
        // way when they are dropped.
        PlanOverrides overrides = new()
        {
            Replicas = 2,
            Batch = 16,
            Curvature = Options with { Mode = mode, Scope = scope, Alpha = 0, Every = 18 },
            Admm = rule is { } chosen ? new AdmmOptions(3, 0.1, 1, chosen) : null,
        };
        Run run = Fit(2, overrides, new() { AfterEstimate = 1, Steps = 15, WhenItDoesNotPay = UnpaidCurvature.Drop }, epochs: 75, rate: 1e-3, clock: new ForwardClock());
        Assert.True(Assert.Single(run.Compared).Dropped);
        Assert.True(run.WithoutSubspace);
        Assert.Equal([true, true, true, true], run.RanksDropped);

        // Nothing of the estimates is sent any more.
        Assert.Equal(run.Steps[2].Traffic, run.Steps[^1].Traffic);
    }

    [Fact]
    public void ABaseThatDivergesEndsTheTrialAndNotTheRun()
    {
        // Before the trial, which begins with step 5: two micro-batches in each of four steps, and in the graphs of each product.
        const int before = 8 + (2 * Products);
        const int inItsThirdStep = before + 5;
        int losses = 0, atTheEstimate = 0;
        PipelineDefinition chain = ChainModel.Define(2);
        PipelineDefinition definition = new()
        {
            DescriptionText = chain.DescriptionText,
            PlanHash = chain.PlanHash,
            Stages = chain.Stages,
            Unsplit = chain.Unsplit,
            Loss = (results, targets) => chain.Loss(results, targets) * (Interlocked.Increment(ref losses) == inItsThirdStep ? double.NaN : 1),
        };
        Run run = Fit(
            2, new() { Curvature = Options }, new() { AfterEstimate = 1 }, epochs: 30, definition: definition,
            prepare: trainer => trainer.CurvatureRefreshed += refreshed => atTheEstimate = refreshed.Step == 5 ? losses : atTheEstimate);
        Assert.Equal(before, atTheEstimate);
        CurvatureCompared compared = Assert.Single(run.Compared);
        Assert.True(compared.BaseDiverged);
        Assert.Equal(CurvatureVerdict.Pays, compared.Verdict);
        Assert.Equal(30, run.Steps.Count);
    }

    [Fact]
    public void ARunThatGoesOnStaysWithoutCurvature()
    {
        using TemporaryFolder folder = new();
        PlanOverrides overrides = new() { Curvature = Options with { Alpha = 0 } };
        CurvatureTrial drop = new() { WhenItDoesNotPay = UnpaidCurvature.Drop };
        string path = "";
        Fit(1, overrides, drop, epochs: 60, rate: 1e-3, clock: new ForwardClock(), look: trainer => path = trainer.Save(folder.File("saved")));

        Assert.Empty(GoOn(drop).Refreshes);
        Assert.NotEmpty(GoOn(null).Refreshes);

        Run GoOn(CurvatureTrial? trial) => Fit(1, overrides, trial, epochs: 90, rate: 1e-3, clock: new ForwardClock(), prepare: trainer => trainer.Load(path));
    }

    [Fact]
    public void TheRecordAndTheProgressSayItToo()
    {
        using TemporaryFolder folder = new();
        var status = new List<TrainingStatus?>();
        CurvatureCompared compared = Assert.Single(Fit(
            1, new() { Curvature = Options }, new() { Steps = 10 }, epochs: 40, rate: 1e-4, clock: new ForwardClock(),
            record: new RecordOptions { Folder = folder.File("record") },
            prepare: trainer => trainer.StepCompleted += step => status.Add(step.Status)).Compared);
        TrialEntry entry = Assert.Single(RunRecord.Open(folder.File("record")).Trials);
        Assert.Equal((34L, 10, compared.StepRatio, compared.CostRatio, "Pays", false), (entry.Step, entry.Steps, entry.StepRatio, entry.CostRatio, entry.Verdict, entry.Dropped));
        Assert.Null(status[3]!.CurvatureCost);
        Assert.True(status[4]!.CurvatureCost > 1);
        Assert.Null(status[33]!.Comparison);
        Assert.Same(compared, status[34]!.Comparison);
    }

    [Fact]
    public void TheCostFactorIsTheTimeOfAllStepsOverThatWithoutEstimates()
    {
        // Four steps of two forwards each, and the estimate; then twenty more and another. The step that is under way has none yet.
        var factors = new List<double>();
        Fit(1, new() { Curvature = Options }, null, epochs: 30, clock: new ForwardClock(), prepare: trainer => trainer.CurvatureRefreshed += r => factors.Add(r.CostFactor));
        Assert.Equal(2, factors.Count);
        Assert.Equal((4.0 + Products) / 4, factors[0], 1e-9);
        Assert.Equal((24.0 + (2 * Products)) / 24, factors[1], 1e-9);
    }

    [Fact]
    public void WhereThereCanBeNoTrialTheTrainerSaysSo()
    {
        Assert.Contains("Dedicated", Refused(Options with { Mode = CurvatureMode.Dedicated, Delay = 2 }, new()), StringComparison.Ordinal);
        Assert.Contains("30 steps does not fit between two estimates, which are 20 steps apart", Refused(Options, new() { Steps = 30 }), StringComparison.Ordinal);
        Assert.Contains("at least 4 steps", Refused(Options with { Every = 3 }, new()), StringComparison.Ordinal);
        Assert.Contains("LocalCurvature", Refused(Options with { Mode = CurvatureMode.Amortized }, new(), new AdmmOptions(3, 0.1, 1, AdmmRule.Consensus) { LocalCurvature = true }), StringComparison.Ordinal);

        // Without curvature there is nothing to try.
        Assert.Empty(Fit(1, new(), new(), epochs: 12).Compared);

        static string Refused(CurvatureOptions curvature, CurvatureTrial trial, AdmmOptions? admm = null) => Assert.Throws<ArgumentException>(
            () => Fit(1, new() { Curvature = curvature, Admm = admm, Replicas = admm is null ? 1 : 2 }, trial, epochs: 1)).Message;
    }

    [Fact]
    public void SettingsHaveTheirRanges()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => new CurvatureTrial { AfterEstimate = 0 });
        Assert.Throws<ArgumentOutOfRangeException>(() => new CurvatureTrial { Steps = 3 });
        Assert.Throws<ArgumentOutOfRangeException>(() => new CurvatureTrial { RepeatEvery = -1 });
        Assert.Equal(100, new CurvatureTrial().StepsFor(400));
        Assert.Equal(40, new CurvatureTrial().StepsFor(40));
    }

    // Every product builds its graphs anew, with as many forwards as a step has.
    private static void CheckCost(CurvatureCompared compared)
    {
        Assert.Equal((double)Products / Every, compared.EstimateCost, 1e-9);
        Assert.Equal(1 + ((double)Products / Every), compared.CostRatio, 1e-9);
    }

    internal static Run Fit(
        int stages,
        PlanOverrides overrides,
        CurvatureTrial? trial,
        int epochs,
        double rate = 0.1,
        ForwardClock? clock = null,
        PipelineDefinition? definition = null,
        RecordOptions? record = null,
        Action<Trainer>? prepare = null,
        Action<Trainer>? look = null)
    {
        (Tensor points, Tensor labels) = ChainModel.Data(32, float64);
        using (points)
        using (labels)
        {
            // An epoch is one step over all samples: losses vary from batch to batch by nothing.
            using var data = new TensorDataset(points, labels);
            var run = new Run([], [], []);
            using var world = World.Join();
            using var trainer = new Trainer(definition ?? ChainModel.Define(stages, blocks: 2, beforeForward: (_, _) => clock?.Forward()), world, new()
            {
                LearningRate = rate,
                Epochs = epochs,
                Estimation = Fixed,
                Products = new() { RetainGraphs = false },
                CurvatureTrial = trial,
                Record = record,
                ThreadsPerRank = 1,
                Clock = (TimeProvider?)clock ?? TimeProvider.System,
                Overrides = overrides with { DType = DType.Float64 },
            });
            trainer.StepCompleted += step => run.Steps.Add(step.Result);
            trainer.CurvatureRefreshed += refreshed => run.Refreshes.Add(refreshed.Step);
            trainer.CurvatureCompared += run.Compared.Add;
            prepare?.Invoke(trainer);
            trainer.Fit(data);
            look?.Invoke(trainer);
            return run with
            {
                WithoutSubspace = trainer.Ranks.All(rank => rank.Optimizer.Subspace is null),
                RanksDropped = [.. trainer.Ranks.Select(rank => rank.IsCurvatureDropped)],
            };
        }
    }

    internal sealed record Run(List<StepResult> Steps, List<long> Refreshes, List<CurvatureCompared> Compared)
    {
        public bool WithoutSubspace { get; init; }

        public bool[] RanksDropped { get; init; } = [];
    }

    /// <summary>A clock on which nothing but forwards of rank 0 take time, a second each.</summary>
    internal sealed class ForwardClock : TimeProvider
    {
        private long seconds;

        public override long TimestampFrequency => 1;

        public override long GetTimestamp() => Thread.CurrentThread.Name == "Dho2 rank 0" ? Interlocked.Read(ref seconds) + 1 : 1;

        public void Forward()
        {
            if (Thread.CurrentThread.Name == "Dho2 rank 0")
            {
                Interlocked.Increment(ref seconds);
            }
        }
    }
}
