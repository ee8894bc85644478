using System;
using System.Linq;
using Dho2.Communication;
using TorchSharp;

namespace Dho2.Tests.Communication;

public sealed class CollectiveTests
{
    public static TheoryData<int, int> SizesAndLengths()
    {
        var data = new TheoryData<int, int>();
        foreach (int size in new[] { 1, 2, 3, 4, 5 })
        {
            foreach (int length in new[] { 0, 1, 2, 7, 1001 })
            {
                data.Add(size, length);
            }
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(SizesAndLengths))]
    public void ReductionsAreThoseOfRankOrderBitForBit(int size, int length)
    {
        double[][] brought = [.. Enumerable.Range(0, size).Select(rank => Values(rank, length))];
        double[] sum = Reduce(brought, (a, b) => a + b);
        double[] max = Reduce(brought, Math.Max);
        Ranks.Run(size, c =>
        {
            using DisposeScope scope = torch.NewDisposeScope();
            foreach ((Reduction reduction, double[] expected) in new[] { (Reduction.Sum, sum), (Reduction.Max, max) })
            {
                double[] numbers = [.. brought[c.Rank]];
                c.AllReduce(numbers, reduction);
                Assert.Equal(expected, numbers);

                torch.Tensor tensor = torch.tensor(brought[c.Rank]);
                c.AllReduce(tensor, reduction);
                Assert.Equal(expected, tensor.data<double>().ToArray());
            }
        });
    }

    [Theory]
    [MemberData(nameof(SizesAndLengths))]
    public void GatherScatterAndBroadcastMoveTheRightElements(int size, int length)
    {
        double[][] brought = [.. Enumerable.Range(0, size).Select(rank => Values(rank, length))];
        Ranks.Run(size, c =>
        {
            using DisposeScope scope = torch.NewDisposeScope();
            torch.Tensor mine = torch.tensor(brought[c.Rank]);
            torch.Tensor all = torch.zeros(size * length, torch.float64);
            c.AllGather(all, mine);
            Assert.Equal(brought.SelectMany(b => b), all.data<double>().ToArray());

            // Every rank brings the concatenation times its rank + 1; share r of the sum is brought[r] times 1 + ... + size.
            torch.Tensor share = torch.zeros(length, torch.float64);
            c.ReduceScatter(share, all * (c.Rank + 1));
            Assert.Equal(
                brought[c.Rank].Select(v => Enumerable.Range(1, size).Select(f => v * f).Aggregate((a, b) => a + b)),
                share.data<double>().ToArray());

            for (int root = 0; root < size; root++)
            {
                torch.Tensor copy = torch.tensor(brought[c.Rank]);
                c.Broadcast(copy, root);
                Assert.Equal(brought[root], copy.data<double>().ToArray());
            }
        });
    }

    [Fact]
    public void ReduceScatterMayLeaveItsResultInItsOwnArgument()
    {
        Ranks.Run(3, c =>
        {
            using DisposeScope scope = torch.NewDisposeScope();
            torch.Tensor whole = torch.full(6, c.Rank + 1.0, torch.float64);
            torch.Tensor share = whole.narrow(0, c.Rank * 2, 2);
            c.ReduceScatter(share, whole);
            Assert.Equal([6.0, 6.0], share.data<double>().ToArray());
        });
    }

    [Fact]
    public void CollectivesReachTheStorageOfParametersAndViews()
    {
        Ranks.Run(2, c =>
        {
            using DisposeScope scope = torch.NewDisposeScope();
            torch.Tensor flat = torch.zeros(10, torch.float64);
            torch.Tensor view = flat.narrow(0, 4, 3).view(3, 1).requires_grad_();
            using (torch.no_grad())
            {
                view.fill_(c.Rank + 1);
            }

            c.AllReduce(view);
            Assert.Equal([0, 0, 0, 0, 3, 3, 3, 0, 0, 0], flat.data<double>().ToArray());
        });
    }

    [Fact]
    public void LongRunsOfNumbersAndAllTypesAreReducedInRankOrder()
    {
        double[][] brought = [.. Enumerable.Range(0, 3).Select(rank => Values(rank, 5003))];
        double[] expected = Reduce(brought, (a, b) => a + b);
        Ranks.Run(3, c =>
        {
            using DisposeScope scope = torch.NewDisposeScope();
            double[] numbers = [.. brought[c.Rank]];
            c.AllReduce(numbers);
            Assert.Equal(expected, numbers);
            foreach (torch.ScalarType type in new[] { torch.int32, torch.int64, torch.float16, torch.bfloat16, torch.float32, torch.uint8 })
            {
                torch.Tensor sum = torch.full(1000, c.Rank + 1, type);
                c.AllReduce(sum);
                Assert.True(sum.eq(torch.full(1000, 6, type)).all().ToBoolean(), type.ToString());
                torch.Tensor most = torch.full(1000, c.Rank + 1, type);
                c.AllReduce(most, Reduction.Max);
                Assert.True(most.eq(torch.full(1000, 3, type)).all().ToBoolean(), type.ToString());
            }
        });
    }

    [Fact]
    public void ManySmallReductionsInARowDoNotMix()
    {
        Ranks.Run(4, c =>
        {
            Span<double> numbers = stackalloc double[2];
            for (int i = 0; i < Ranks.ManyTurns; i++)
            {
                numbers[0] = i + c.Rank;
                numbers[1] = c.Rank * (double)i;
                c.AllReduce(numbers);
                Assert.Equal((4.0 * i) + 6, numbers[0]);
                Assert.Equal(6.0 * i, numbers[1]);
            }
        });
    }

    [Fact]
    public void SplitMakesGroupsByColourInTheOrderOfKeys()
    {
        // A grid of 2 replicas x 3 stages: ranks 0 to 2 are replica 0's stages.
        Ranks.Run(6, c =>
        {
            int stage = c.Rank % 3, replica = c.Rank / 3;
            using ICommunicator pipeline = c.Split(replica, stage);
            using ICommunicator replicas = c.Split(stage, -replica);
            Assert.Equal((stage, 3), (pipeline.Rank, pipeline.Size));
            Assert.Equal((1 - replica, 2), (replicas.Rank, replicas.Size));

            Span<double> sum = [c.Rank];
            pipeline.AllReduce(sum);
            Assert.Equal(replica == 0 ? 0 + 1 + 2 : 3 + 4 + 5, sum[0]);
            sum[0] = c.Rank;
            replicas.AllReduce(sum);
            Assert.Equal((2 * stage) + 3, sum[0]);

            using torch.Tensor message = torch.tensor(c.Rank);
            pipeline.Send(message, (stage + 1) % 3);
            using torch.Tensor received = pipeline.Receive((stage + 2) % 3);
            Assert.Equal((replica * 3) + ((stage + 2) % 3), received.item<int>());
        });
    }

    [Fact]
    public void DifferentCallsAreRefusedOnAllRanksWithBothNames()
    {
        Exception?[] failures = Ranks.RunAll(2, c =>
        {
            if (c.Rank == 0)
            {
                c.AllReduce(stackalloc double[3]);
            }
            else
            {
                c.AllReduce(stackalloc double[4]);
            }
        });
        Assert.All(failures, f => Assert.Contains("of 3 x Float64", Assert.IsType<CommunicationException>(f).Message, StringComparison.Ordinal));
        Assert.All(failures, f => Assert.Contains("of 4 x Float64", f!.Message, StringComparison.Ordinal));
    }

    [Fact]
    public void RefusesTensorsThatItCannotReduceInPlace()
    {
        Ranks.Run(1, c =>
        {
            using DisposeScope scope = torch.NewDisposeScope();
            Assert.Throws<ArgumentException>(() => c.AllReduce(torch.zeros(3, 4).t()));
            Assert.Throws<ArgumentException>(() => c.AllGather(torch.zeros(3), torch.zeros(2)));
        });
    }

    private static double[] Values(int rank, int length)
    {
        // Magnitudes that differ widely, so that another order of summation gives other bits.
        var random = new Random(rank + (31 * length));
        return [.. Enumerable.Range(0, length).Select(_ => (random.NextDouble() - 0.5) * Math.Pow(10, random.Next(-12, 12)))];
    }

    private static double[] Reduce(double[][] brought, Func<double, double, double> operation) =>
        [.. Enumerable.Range(0, brought[0].Length).Select(i => brought.Select(b => b[i]).Aggregate(operation))];
}
