using System;
using System.Collections.Generic;
using Dho2.Communication;
using Dho2.Planning;
using TorchSharp;

namespace Dho2.Benchmarks.Memory;

/// <summary>
/// A world in which one stage is alone: what it would receive from its neighbours is made up, of the planned shapes, and what it
/// sends is dropped. So one process shows the memory of one rank.
/// </summary>
internal sealed class StandInWorld(int stage) : World(TimeSpan.FromMinutes(10))
{
    /// <summary>The plan; known once the trainer has made it.</summary>
    public Plan? Plan { get; set; }

    public override IReadOnlyList<ICommunicator> Open(int size) => [new StandIn(this, stage, size)];

    private sealed class StandIn(StandInWorld world, int rank, int size) : ICommunicator
    {
        private readonly Dictionary<int, int> received = [];
        private int splits;

        public int Rank => rank;

        public int Size => size;

        public TimeSpan Timeout => world.Timeout;

        public long BytesSent => 0;

        public void Send(torch.Tensor tensor, int destination)
        {
        }

        /// <summary>The cut's next value: all of them cross one after the other, forward and back, with and without curvature.</summary>
        public torch.Tensor Receive(int source)
        {
            CutPlan cut = world.Plan!.Cuts[Math.Min(rank, source)];
            int next = received.GetValueOrDefault(source);
            received[source] = next + 1;
            CutValue value = cut.Values[next % cut.Values.Count];
            if (!value.Differentiable || value.Type is not { } type)
            {
                throw new InvalidOperationException($"'{value.Name}' of {world.Plan.Model} has no gradient, or no known shape: the stand-in could not tell what comes next.");
            }

            int samples = world.Plan.MicroBatches[0];
            return torch.randn([.. System.Linq.Enumerable.Select(type.Shape, d => d.Evaluate(symbol => symbol == ShapeInference.Batch ? samples : null)!.Value)]).mul_(0.01);
        }

        public void AllReduce(torch.Tensor tensor, Reduction reduction = Reduction.Sum)
        {
        }

        public void AllReduce(Span<double> values, Reduction reduction = Reduction.Sum)
        {
        }

        public void Broadcast(torch.Tensor tensor, int root)
        {
        }

        public void AllGather(torch.Tensor result, torch.Tensor tensor) => result.narrow(0, 0, tensor.numel()).copy_(tensor);

        public void ReduceScatter(torch.Tensor result, torch.Tensor tensor) => result.copy_(tensor.narrow(0, 0, result.numel()));

        public void Barrier()
        {
        }

        /// <summary>The first split is by replica, and gives the pipeline; the second by stage, and leaves one rank.</summary>
        public ICommunicator Split(int color, int key) => splits++ == 0 ? new StandIn(world, rank, size) : new StandIn(world, 0, 1);

        public void Abort(Exception cause)
        {
        }

        public void Dispose()
        {
        }
    }
}
