using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using Dho2.Communication;
using TorchSharp;

namespace Dho2.Tests.Communication;

public sealed class PointToPointTests
{
    [Fact]
    public void MessagesOfTwoRanksArriveInTheOrderTheyWereSent()
    {
        Ranks.Run(3, c =>
        {
            for (int i = 0; i < 200; i++)
            {
                for (int other = 0; other < 3; other++)
                {
                    using torch.Tensor message = torch.tensor((c.Rank * 1000) + i);
                    c.Send(message, other);
                }
            }

            for (int other = 0; other < 3; other++)
            {
                for (int i = 0; i < 200; i++)
                {
                    using torch.Tensor message = c.Receive(other);
                    Assert.Equal((other * 1000) + i, message.item<int>());
                }
            }
        });
    }

    public static TheoryData<string> Types() => ["Byte", "Int8", "Int16", "Int32", "Int64", "Float16", "BFloat16", "Float32", "Float64", "Bool"];

    [Theory]
    [MemberData(nameof(Types))]
    public void TypeAndSizesArriveWithTheElements(string type)
    {
        torch.ScalarType dtype = Enum.Parse<torch.ScalarType>(type);
        long[][] shapes = [[], [0], [1], [3, 0, 2], [2, 3, 1, 2], [70, 90]];
        Ranks.Run(2, c =>
        {
            using DisposeScope scope = torch.NewDisposeScope();
            foreach (long[] shape in shapes)
            {
                torch.Tensor expected = torch.arange(Math.Max(1, shape.Aggregate(1L, (a, b) => a * b))).remainder(2)
                    .narrow(0, 0, shape.Aggregate(1L, (a, b) => a * b)).to(dtype).view(shape);
                if (c.Rank == 0)
                {
                    c.Send(expected, 1);
                }
                else
                {
                    torch.Tensor received = c.Receive(0);
                    Assert.Equal(dtype, received.dtype);
                    Assert.Equal(shape, received.shape);
                    Assert.True(received.eq(expected).all().ToBoolean());
                }
            }
        });
    }

    [Fact]
    public void RanksThatBothSendFirstDoNotLockUpWhateverTheSize()
    {
        Ranks.Run(2, c =>
        {
            using DisposeScope scope = torch.NewDisposeScope();
            foreach (int length in new[] { 1, 1000, 100_000, 3_000_000 })
            {
                for (int i = 0; i < 3; i++)
                {
                    c.Send(torch.full(length, c.Rank + (10.0 * i)), 1 - c.Rank);
                }

                for (int i = 0; i < 3; i++)
                {
                    torch.Tensor received = c.Receive(1 - c.Rank);
                    Assert.Equal(length, received.numel());
                    Assert.Equal(1 - c.Rank + (10f * i), received[length - 1].item<float>());
                }
            }
        });
    }

    [Fact]
    public void SizesThatChangeInMidStreamArriveAndLeaveWhatWasReceivedAlone()
    {
        // What is expected is what came before, and every other may differ from it: fewer rows, as in a last micro-batch, the same
        // bytes as another type or in another shape, few enough to travel with the announcement, none.
        (long[] Shape, torch.ScalarType Type)[] stream =
        [
            ([64, 300], torch.ScalarType.Float32), ([64, 300], torch.ScalarType.Float32), ([17, 300], torch.ScalarType.Float32),
            ([64, 300], torch.ScalarType.Float32), ([64, 300], torch.ScalarType.Int32), ([300, 64], torch.ScalarType.Int32),
            ([64, 600], torch.ScalarType.BFloat16), ([64, 600], torch.ScalarType.Float16), ([], torch.ScalarType.Float64), ([64, 600], torch.ScalarType.Float16),
            ([0, 600], torch.ScalarType.Float16), ([], torch.ScalarType.Int64), ([1], torch.ScalarType.Int64), ([640, 600], torch.ScalarType.Float32),
            ([640, 600], torch.ScalarType.Float32), ([1, 600], torch.ScalarType.Float32), ([640, 600], torch.ScalarType.Float32),
        ];
        Ranks.Run(2, c =>
        {
            using DisposeScope scope = torch.NewDisposeScope();
            var received = new List<torch.Tensor>();
            for (int i = 0; i < stream.Length; i++)
            {
                // Let go of at once: the elements must stay until they have gone, whatever is made in their place.
                using (torch.Tensor message = Message(stream[i].Shape, stream[i].Type, i + c.Rank))
                {
                    c.Send(message, 1 - c.Rank);
                }

                received.Add(c.Receive(1 - c.Rank));
            }

            for (int i = 0; i < stream.Length; i++)
            {
                AssertIs(Message(stream[i].Shape, stream[i].Type, i + 1 - c.Rank), received[i], $"message {i}");
            }
        });
    }

    [Theory]
    [InlineData(2, 1)]
    [InlineData(2, 2)]
    [InlineData(3, 3)]
    [InlineData(4, 4)]
    public void RandomSequencesArriveAsTheyWereSent(int size, int seed)
    {
        const int Batches = 25;
        torch.ScalarType[] types =
        [
            torch.ScalarType.Byte, torch.ScalarType.Int8, torch.ScalarType.Int16, torch.ScalarType.Int32, torch.ScalarType.Int64,
            torch.ScalarType.Float16, torch.ScalarType.BFloat16, torch.ScalarType.Float32, torch.ScalarType.Float64, torch.ScalarType.Bool,
        ];
        Ranks.Run(size, c =>
        {
            using DisposeScope scope = torch.NewDisposeScope();
            using ICommunicator second = c.Split(0, c.Rank);
            var random = new Random(seed);
            var last = new Dictionary<(int From, int To), (long[] Shape, torch.ScalarType Type)>();
            var received = new List<(torch.Tensor Tensor, long[] Shape, torch.ScalarType Type, int Number)>();
            int number = 0;
            for (int batch = 0; batch < Batches; batch++)
            {
                // All ranks draw the same, and each sends all of a batch that is its own before it receives any.
                var drawn = new List<(int From, int To, bool Second, long[] Shape, torch.ScalarType Type, int Number)>();
                for (int i = random.Next(1, 9); i > 0; i--)
                {
                    (int from, int to) = (random.Next(size), random.Next(size));
                    (long[] shape, torch.ScalarType type) = last.TryGetValue((from, to), out (long[], torch.ScalarType) before) && random.Next(2) == 0
                        ? before : (RandomShape(random), types[random.Next(types.Length)]);
                    last[(from, to)] = (shape, type);
                    drawn.Add((from, to, random.Next(4) == 0, shape, type, ++number));
                }

                foreach ((int from, int to, bool isSecond, long[] shape, torch.ScalarType type, int id) in drawn)
                {
                    if (from == c.Rank)
                    {
                        using torch.Tensor message = Message(shape, type, id);
                        using torch.Tensor view = id % 5 == 0 && shape.Length > 1 ? message.transpose(0, 1).contiguous().transpose(0, 1) : message.alias();
                        (isSecond ? second : c).Send(view, to);
                    }
                }

                foreach ((int from, int to, bool isSecond, long[] shape, torch.ScalarType type, int id) in drawn)
                {
                    if (to == c.Rank)
                    {
                        received.Add(((isSecond ? second : c).Receive(from), shape, type, id));
                    }
                }

                if (batch % 8 == 0)
                {
                    using torch.Tensor sum = torch.full(3, 1.0);
                    c.AllReduce(sum);
                    Assert.Equal(size, sum[2].item<float>());
                }
            }

            foreach ((torch.Tensor tensor, long[] shape, torch.ScalarType type, int id) in received)
            {
                using torch.Tensor expected = Message(shape, type, id);
                AssertIs(expected, tensor, $"message {id}");
            }
        });
    }

    [Fact]
    public void AWaitLeavesTheCollectorAlone()
    {
        // A rank that asks again and again whether its message has come would write through its core's cache with all that it
        // allocates. Where one thread makes all calls the questions are handed to it, and that cannot be had for nothing.
        bool isHandedOver = Environment.GetEnvironmentVariable("DHO2_MPI_THREADS") == "funneled";
        Ranks.Run(2, c =>
        {
            using torch.Tensor message = torch.zeros(100_000);
            for (int turn = 0; turn < 3; turn++)
            {
                if (c.Rank == 0)
                {
                    Thread.Sleep(100);
                    c.Send(message, 1);
                }
                else
                {
                    long before = GC.GetAllocatedBytesForCurrentThread();
                    c.Receive(0).Dispose();
                    long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
                    Assert.True(turn == 0 || isHandedOver || allocated < 100_000, $"{allocated} bytes were allocated.");
                }
            }
        });
    }

    [Fact]
    public void AViewWithGapsArrivesWhole()
    {
        Ranks.Run(2, c =>
        {
            using DisposeScope scope = torch.NewDisposeScope();
            torch.Tensor whole = torch.arange(12).view(3, 4);
            if (c.Rank == 0)
            {
                c.Send(whole.t(), 1);
                c.Send(whole.narrow(1, 1, 2), 1);
            }
            else
            {
                Assert.True(c.Receive(0).eq(whole.t()).all().ToBoolean());
                Assert.True(c.Receive(0).eq(whole.narrow(1, 1, 2)).all().ToBoolean());
            }
        });
    }

    [Fact]
    public void TheReceivedTensorOutlivesTheSendersScope()
    {
        Ranks.Run(2, c =>
        {
            if (c.Rank == 0)
            {
                using (torch.NewDisposeScope())
                {
                    c.Send(torch.full(1000, 3.0), 1);
                }

                c.Barrier();
            }
            else
            {
                c.Barrier();
                using torch.Tensor received = c.Receive(0);
                Assert.Equal(3000.0, received.sum().item<float>());
            }
        });
    }

    [Fact]
    public void RefusesRanksOutsideTheGroup()
    {
        Ranks.Run(2, c =>
        {
            using torch.Tensor t = torch.zeros(1);
            Assert.Contains("0 to 1", Assert.Throws<ArgumentOutOfRangeException>(() => c.Send(t, 2)).Message, StringComparison.Ordinal);
            Assert.Throws<ArgumentOutOfRangeException>(() => c.Receive(-1));
            Assert.Throws<ArgumentOutOfRangeException>(() => c.Broadcast(t, 2));
        });
    }

    [Fact]
    public void AWaitingRankIsWokenLongAfterItHasStoppedSpinning()
    {
        Ranks.Run(2, c =>
        {
            for (int i = 0; i < 20; i++)
            {
                if (c.Rank == 0)
                {
                    Thread.Sleep(5);
                    using torch.Tensor message = torch.tensor(i);
                    c.Send(message, 1);
                }
                else
                {
                    using torch.Tensor message = c.Receive(0);
                    Assert.Equal(i, message.item<int>());
                }
            }
        });
    }

    private static long[] RandomShape(Random random) => random.Next(10) switch
    {
        0 => [],
        1 => [0, random.Next(5)],
        2 => [random.Next(1, 10), random.Next(1, 10)],

        // About the sizes from which on elements travel apart from their announcement, and in memory of another kind.
        3 => [4096 + random.Next(-1, 2)],
        4 => [65_536 + random.Next(-1, 2)],
        5 => [random.Next(1, 4), random.Next(1, 4), random.Next(1, 4), random.Next(1, 4)],
        6 => [random.Next(1, 300_000)],
        _ => [random.Next(1, 100), random.Next(1, 500)],
    };

    /// <summary>Elements that differ from those of another number wherever they can.</summary>
    private static torch.Tensor Message(long[] shape, torch.ScalarType type, int number)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        long count = shape.Aggregate(1L, (a, b) => a * b);
        return (torch.arange(count) * 7).add(number).remainder(type == torch.ScalarType.Bool ? 2 : 101).to(type).view(shape).MoveToOuterDisposeScope();
    }

    private static void AssertIs(torch.Tensor expected, torch.Tensor received, string which)
    {
        Assert.True(expected.dtype == received.dtype, $"{which}: {received.dtype} instead of {expected.dtype}");
        Assert.True(expected.shape.SequenceEqual(received.shape), $"{which}: [{string.Join(", ", received.shape)}] instead of [{string.Join(", ", expected.shape)}]");
        Assert.True(received.eq(expected).all().ToBoolean(), $"{which}: other elements");
    }
}
