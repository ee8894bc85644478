using System;
using System.Linq;
using System.Threading;
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
}
