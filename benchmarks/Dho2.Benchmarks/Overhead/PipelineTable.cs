using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using System.Threading;
using Dho2.Benchmarks.Curvature;
using Dho2.Communication;
using Dho2.Curvature;
using Dho2.Optimizers;
using Dho2.Pipelines;
using Dho2.Planning;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Benchmarks.Overhead;

/// <summary>
/// What the machinery costs: one stage against a bare loop; stages against each other, whose waiting is compared with the
/// published formula; and what a step allocates.
/// </summary>
internal static class PipelineTable
{
    private const int MicroBatches = 8;

    public static int Run(bool quick)
    {
        set_num_threads(1);
        Measuring.PrintEnvironment("pipeline", quick);
        PrintOverhead(quick);
        PrintBubbles(quick);
        PrintAllocations(quick);
        return 0;
    }

    private static void PrintOverhead(bool quick)
    {
        Console.WriteLine("One stage, one micro-batch: `TrainStep` against a loop of forward, loss, backward and the same optimizer on the same flat vector. Fastest of interleaved groups of five steps, so that what other programs do shows as little as it can; processor time of the process, and time by the clock.");
        Console.WriteLine();
        Console.WriteLine("| model | bare, ms | trainer, ms | ratio | by the clock: bare, ms | trainer, ms | ratio | target |");
        Console.WriteLine("|---|--:|--:|--:|--:|--:|--:|--:|");
        random.manual_seed(1);
        using DisposeScope scope = NewDisposeScope();
        using World world = World.Join();
        TrainingOptions options = new() { LearningRate = 1e-4, ThreadsPerRank = 1, Optimizer = OptimizerKind.FirstOrder };
        using (Trainer trainer = OverheadMlp.CreateTrainer(world, options))
        using (OverheadMlp model = OverheadMlp.CreateUnsplit(0))
        {
            PrintOverhead("perceptron 784-256-128-10, 256 samples", trainer, model, new([rand(256, 784)], [randint(0, 10, 256, int64)]), quick);
        }

        using (Trainer trainer = OverheadCnn.CreateTrainer(world, options))
        using (OverheadCnn model = OverheadCnn.CreateUnsplit(0))
        {
            PrintOverhead("CNN 16-32-64, 64 samples", trainer, model, new([rand(64, 1, 28, 28)], [randint(0, 10, 64, int64)]), quick);
        }

        Console.WriteLine();
    }

    private static void PrintOverhead(string name, Trainer trainer, nn.Module<Tensor, Tensor> model, Batch batch, bool quick)
    {
        using FlatParameters flat = new([new StageLayer("model", model)], float32, CPU);
        using HybridOptimizer optimizer = new(
            new ShardedSpace([.. flat.Segments.Select(s => new ParameterSegment(s.Name, s.Offset, s.Length))]), new() { Base = BaseKind.HeavyBall, LearningRate = 1e-4 });
        model.train();
        List<(double Processor, double Clock)> bare = [];
        List<(double Processor, double Clock)> ours = [];
        for (int round = -3; round < (quick ? 40 : 250); round++)
        {
            (double Processor, double Clock) first = Group(() =>
            {
                using DisposeScope step = NewDisposeScope();
                flat.Gradients.zero_();
                Tensor loss = nn.functional.cross_entropy(model.forward(batch.Inputs[0]), batch.Targets[0]);
                loss.backward();
                loss.ToDouble();
                optimizer.Step(flat.Values, flat.Gradients);
            });
            (double Processor, double Clock) second = Group(() => trainer.TrainStep(batch));
            if (round >= 0)
            {
                bare.Add(first);
                ours.Add(second);
            }
        }

        (double bareProcessor, double bareClock) = (bare.Min(t => t.Processor), bare.Min(t => t.Clock));
        (double processor, double clock) = (ours.Min(t => t.Processor), ours.Min(t => t.Clock));
        Console.WriteLine(
            $"| {name} | {Milliseconds(bareProcessor)} | {Milliseconds(processor)} | {Measuring.Text(processor / bareProcessor, 3)} | {Milliseconds(bareClock)} | {Milliseconds(clock)} | {Measuring.Text(clock / bareClock, 3)} | 1.02 |");
    }

    private static string Milliseconds(double seconds) => Measuring.Text(1000 * seconds, 3);

    private static (double Processor, double Clock) Group(Action step)
    {
        const int Steps = 5;
        double processor = Measuring.ProcessorSeconds();
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < Steps; i++)
        {
            step();
        }

        return ((Measuring.ProcessorSeconds() - processor) / Steps, Stopwatch.GetElapsedTime(start).TotalSeconds / Steps);
    }

    private static void PrintBubbles(bool quick)
    {
        int steps = quick ? 3 : 20;
        Console.WriteLine($"Bubble with {MicroBatches} micro-batches: the share of the stages' time in which they have nothing to do, against (S - 1) / (M + S - 1). Stages that compute need a processor each: their bubble is what the process left of S processors, and {Environment.ProcessorCount} processors can show {Environment.ProcessorCount} stages. Stages that sleep, twice as long in backward as in forward, need none.");
        Console.WriteLine();
        Console.WriteLine("| stages | what they do | schedule | formula | measured | difference, points | target |");
        Console.WriteLine("|--:|---|---|--:|--:|--:|--:|");
        foreach (int stages in new[] { 2, 4 })
        {
            foreach (Schedule schedule in new[] { Schedule.GPipe, Schedule.OneForwardOneBackward })
            {
                double formula = (stages - 1.0) / (MicroBatches + stages - 1);
                Print("sleep", Sleeping(stages, schedule, steps));
                if (stages <= Environment.ProcessorCount)
                {
                    Print("compute", Computing(stages, schedule, steps));
                }

                void Print(string what, double measured) => Console.WriteLine(
                    $"| {stages} | {what} | {schedule} | {Measuring.Text(100 * formula, 1)} % | {Measuring.Text(100 * measured, 1)} % | {Measuring.Text(100 * (measured - formula), 1)} | 5 |");
            }
        }

        Console.WriteLine();
    }

    private static double Sleeping(int stages, Schedule schedule, int steps)
    {
        const int Milliseconds = 10;
        List<double> bubbles = [];
        Measuring.OnRanks(stages, pipeline =>
        {
            using SleepingStage stage = new(pipeline.Rank, Milliseconds);
            IReadOnlyList<CutPlan> cuts = Network.Cuts(stages);
            using PipelineExecutor executor = new(stage, new StageContext(1), pipeline, cuts, (results, _) => results[0].sum());
            using DisposeScope scope = NewDisposeScope();
            Batch batch = new([ones(MicroBatches, 1)], [ones(MicroBatches, 1)]);
            int[] sizes = [.. Enumerable.Repeat(1, MicroBatches)];
            IReadOnlyList<Instruction> instructions = ScheduleBuilder.Build(schedule, stages, MicroBatches)[pipeline.Rank];
            for (int step = -1; step < steps; step++)
            {
                pipeline.Barrier();
                stage.Asleep = TimeSpan.Zero;
                long start = Stopwatch.GetTimestamp();
                executor.Train(instructions, batch, sizes, 0, MicroBatches);
                pipeline.Barrier();
                double time = Stopwatch.GetElapsedTime(start).TotalSeconds;
                Span<double> sum = [stage.Asleep.TotalSeconds];
                pipeline.AllReduce(sum);
                double asleep = sum[0];
                if (pipeline.Rank == 0 && step >= 0)
                {
                    bubbles.Add(1 - (asleep / (stages * time)));
                }
            }
        });
        return Measuring.Median(bubbles);
    }

    private static double Computing(int stages, Schedule schedule, int steps)
    {
        // Seven equal layers; the eighth is ten numbers wide, so that the last stage has a little less to do.
        Network network = Network.All[1];
        List<double> bubbles = [];
        Measuring.OnRanks(stages, pipeline => EachStep(network, pipeline, stages, schedule, steps, (processor, clock, _) =>
        {
            if (pipeline.Rank == 0)
            {
                bubbles.Add(1 - (processor / (stages * clock)));
            }
        }));
        return Measuring.Median(bubbles);
    }

    private static void PrintAllocations(bool quick)
    {
        Console.WriteLine($"Managed bytes that a rank's thread allocates in a step of the executor, {MicroBatches} micro-batches; TorchSharp's handles of tensors are among them. A bare loop's: forward, loss and backward of one micro-batch. Live tensors: the process's, at the end of a step.");
        Console.WriteLine();
        Console.WriteLine("| stages | rank | bytes a step, least | most | bytes a micro-batch | a bare loop's | live tensors, first | last |");
        Console.WriteLine("|--:|--:|--:|--:|--:|--:|--:|--:|");
        Network network = Network.All[0] with { Batch = 256 };
        long bare = BareAllocations(network);
        foreach (int stages in new[] { 1, 2 })
        {
            string[] rows = new string[stages];
            Measuring.OnRanks(stages, pipeline =>
            {
                List<long> bytes = [];
                List<long> live = [];
                EachStep(network, pipeline, stages, Schedule.OneForwardOneBackward, quick ? 10 : 50, (_, _, allocated) =>
                {
                    bytes.Add(allocated);
                    live.Add(Tensor.TotalCount);
                });
                rows[pipeline.Rank] =
                    $"| {stages} | {pipeline.Rank} | {bytes.Min()} | {bytes.Max()} | {bytes.Min() / MicroBatches} | {(stages == 1 ? bare.ToString(System.Globalization.CultureInfo.InvariantCulture) : "")} | {live[0]} | {live[^1]} |";
            });
            Array.ForEach(rows, Console.WriteLine);
        }
    }

    /// <summary>Bytes that forward, loss and backward of one micro-batch allocate without the executor.</summary>
    private static long BareAllocations(Network network)
    {
        StageContext context = new(1);
        using IPipelineStage stage = network.Stage(context, 0, 1);
        using FlatParameters flat = new(stage.Layers, float32, CPU);
        using DisposeScope outer = NewDisposeScope();
        Batch batch = network.RandomBatch();
        long least = long.MaxValue;
        for (int i = 0; i < 20; i++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            using (NewDisposeScope())
            {
                Network.Loss(stage.Forward([batch.Inputs[0].narrow(0, 0, 32)]), [batch.Targets[0].narrow(0, 0, 32)]).backward();
            }

            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        return least;
    }

    private static void EachStep(
        Network network, ICommunicator pipeline, int stages, Schedule schedule, int steps, Action<double, double, long> measured)
    {
        StageContext context = new(1);
        using IPipelineStage stage = network.Stage(context, pipeline.Rank, stages);
        using FlatParameters flat = new(stage.Layers, float32, CPU);
        using PipelineExecutor executor = new(stage, context, pipeline, Network.Cuts(stages), Network.Loss);
        using DisposeScope scope = NewDisposeScope();
        Batch batch = network.RandomBatch();
        int[] sizes = [.. Dho2.Planning.MicroBatches.Split(network.Batch, MicroBatches)];
        IReadOnlyList<Instruction> instructions = ScheduleBuilder.Build(schedule, stages, MicroBatches)[pipeline.Rank];
        for (int step = -3; step < steps; step++)
        {
            using DisposeScope each = NewDisposeScope();
            flat.Gradients.zero_();
            pipeline.Barrier();
            double processor = Measuring.ProcessorSeconds();
            long start = Stopwatch.GetTimestamp();
            pipeline.Barrier();
            long allocated = GC.GetAllocatedBytesForCurrentThread();
            executor.Train(instructions, batch, sizes, 0, network.Batch);
            allocated = GC.GetAllocatedBytesForCurrentThread() - allocated;
            pipeline.Barrier();
            if (step >= 0)
            {
                measured(Measuring.ProcessorSeconds() - processor, Stopwatch.GetElapsedTime(start).TotalSeconds, allocated);
            }
        }
    }

    /// <summary>A stage that sleeps in place of computing, and counts for how long it did.</summary>
    private sealed class SleepingStage : IPipelineStage
    {
        private readonly int milliseconds;
        private readonly Sleeper sleeper;

        public SleepingStage(int index, int milliseconds)
        {
            Index = index;
            this.milliseconds = milliseconds;
            sleeper = new Sleeper();
            Layers = [new StageLayer($"sleep{index}", sleeper)];
        }

        public int Index { get; }

        public IReadOnlyList<StageLayer> Layers { get; }

        public TimeSpan Asleep { get; set; }

        public Tensor[] Forward(IReadOnlyList<Tensor> inputs)
        {
            Sleep(milliseconds);
            return [SleepsInBackward.apply(inputs[0] * sleeper.Weight, this)];
        }

        public void Dispose() => sleeper.Dispose();

        public void Sleep(int time)
        {
            long start = Stopwatch.GetTimestamp();
            Thread.Sleep(time);
            Asleep += Stopwatch.GetElapsedTime(start);
        }

        public void SleepInBackward() => Sleep(2 * milliseconds);
    }

    private sealed class Sleeper : nn.Module<Tensor, Tensor>
    {
        public Sleeper()
            : base(nameof(Sleeper))
        {
            Weight = new TorchSharp.Modules.Parameter(ones(1));
            register_parameter("weight", Weight);
        }

        public TorchSharp.Modules.Parameter Weight { get; }

        public override Tensor forward(Tensor input) => input * Weight;
    }

    private sealed class SleepsInBackward : autograd.SingleTensorFunction<SleepsInBackward>
    {
        public override string Name => nameof(SleepsInBackward);

        public override Tensor forward(autograd.AutogradContext context, params object[] inputs)
        {
            context.save_data("stage", inputs[1]);
            return ((Tensor)inputs[0]).clone();
        }

        public override List<Tensor> backward(autograd.AutogradContext context, Tensor gradient)
        {
            ((SleepingStage)context.get_data("stage")!).SleepInBackward();
            return [gradient.clone(), null!];
        }
    }
}
