using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Numerics;
using Dho2.Pipelines;
using Dho2.Planning;
using Dho2.Tests.Communication;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Tests.Pipelines;

/// <summary>
/// What a step of the executor allocates, and what a loop by hand does that makes the same calls of TorchSharp in the same
/// order with everything of its own made beforehand. In a process of its own, started so that code stays as it was first
/// compiled: what is compiled anew allocates less at one place and not at another.
/// </summary>
internal static class ExecutorAllocations
{
    /// <summary>The numbers of stages that are tried, all on one rank.</summary>
    public static readonly int[] Stages = [1, 2, 3];

    private const int Samples = 12;
    private const int MicroBatchCount = 4;

    /// <summary>Prints, for each number of stages, the bytes of the executor's step and those of the step by hand.</summary>
    public static int Run()
    {
        foreach (int stages in Stages)
        {
            Ranks.Run(1, rank =>
            {
                using DisposeScope scope = NewDisposeScope();
                Batch batch = new([rand(Samples, 6)], [randint(0, 3, Samples, int64)]);
                StageContext context = new(3);
                ChainStage[] chain = [.. Enumerable.Range(0, stages).Select(stage => new ChainStage(context, stage, stages))];
                using FlatParameters flat = new([.. chain.SelectMany(stage => stage.Layers)], float32, CPU);
                using var executor = new PipelineExecutor(chain, context, rank, ChainStage.Cuts(stages), ChainStage.Loss) { GradientsAdded = flat.CollectGradients };
                Console.WriteLine($"{Least(OfExecutor(executor, stages, batch))} {Least(ByHand(chain, flat, batch))}");
                Array.ForEach(chain, stage => stage.Dispose());
            });
        }

        return 0;
    }

    private static Action OfExecutor(PipelineExecutor executor, int stages, Batch batch)
    {
        int[] sizes = [.. Dho2.Planning.MicroBatches.Split(Samples, MicroBatchCount)];
        IReadOnlyList<Instruction> instructions =
            ScheduleBuilder.Build(stages > 1 ? Schedule.Interleaved : Schedule.GPipe, stages, MicroBatchCount, stages)[0];
        return () => executor.Train(instructions, batch, sizes, 0, Samples);
    }

    private static Action ByHand(ChainStage[] chain, FlatParameters flat, Batch batch)
    {
        int stages = chain.Length;
        Tensor[] modelInputs = new Tensor[1];
        Tensor[] targets = new Tensor[1];
        Tensor[][] inputs = [.. chain.Select(_ => new Tensor[1])];
        Tensor[] outputs = new Tensor[stages];
        List<Tensor> roots = [];
        List<Tensor> gradients = [];
        return () =>
        {
            using IDisposable grad = enable_grad();
            for (int i = 0; i < MicroBatchCount; i++)
            {
                for (int s = 0; s < stages; s++)
                {
                    Forward(i, s);
                }

                Tensor? gradient = null;
                for (int s = stages - 1; s >= 0; s--)
                {
                    gradient = Backward(s, gradient);
                    flat.CollectGradients();
                }
            }
        };

        void Forward(int microBatch, int s)
        {
            using DisposeScope scope = NewDisposeScope();
            long size = Samples / MicroBatchCount;
            if (s == 0)
            {
                modelInputs[0] = batch.Inputs[0].narrow(0, microBatch * size, size);
            }

            Tensor[] results = chain[s].Forward(s == 0 ? modelInputs : inputs[s]);
            if (s < stages - 1)
            {
                outputs[s] = results[0].alias().DetachFromDisposeScope();
                inputs[s + 1][0] = outputs[s].detach().DetachFromDisposeScope();
                inputs[s + 1][0].requires_grad = true;
                return;
            }

            targets[0] = batch.Targets[0].narrow(0, microBatch * size, size);
            outputs[s] = ChainStage.Loss(results, targets).alias().DetachFromDisposeScope();
            outputs[s].ToDouble();
        }

        // Takes the gradient that came back, and gives the one that goes on.
        Tensor? Backward(int s, Tensor? gradient)
        {
            using DisposeScope scope = NewDisposeScope();
            using Tensor? received = gradient ?? outputs[s].Filled(1.0 / MicroBatchCount);
            roots.Add(outputs[s]);
            gradients.Add(received);
            autograd.backward(roots, gradients, false, false);
            roots.Clear();
            gradients.Clear();
            outputs[s].Dispose();
            if (s == 0)
            {
                return null;
            }

            using Tensor input = inputs[s][0];
            using Tensor found = input.grad!.DetachFromDisposeScope();
            return found.alias().DetachFromDisposeScope();
        }
    }

    private static long Least(Action step)
    {
        long least = long.MaxValue;
        for (int i = 0; i < 10; i++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            step();
            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        return least;
    }

    /// <summary>One linear layer a stage, whose results are in an array of its own.</summary>
    private sealed class ChainStage(StageContext context, int index, int stages) : IPipelineStage
    {
        private readonly TorchSharp.Modules.Linear layer = context.Create($"layer{index}", () => nn.Linear(index == 0 ? 6 : 8, index == stages - 1 ? 3 : 8));
        private readonly Tensor[] results = new Tensor[1];

        public int Index => index;

        public IReadOnlyList<StageLayer> Layers => [new($"layer{index}", layer)];

        public static CutPlan[] Cuts(int stages) =>
            [.. Enumerable.Range(0, stages - 1).Select(s => new CutPlan(s, new[] { new CutValue(-1, "x", "global::TorchSharp.torch.Tensor", null, true) }.ToEquatableArray()))];

        public static Tensor Loss(IReadOnlyList<Tensor> results, IReadOnlyList<Tensor> targets) => nn.functional.cross_entropy(results[0], targets[0]);

        public Tensor[] Forward(IReadOnlyList<Tensor> inputs)
        {
            results[0] = layer.forward(inputs[0]);
            return results;
        }

        public void Dispose() => layer.Dispose();
    }
}
