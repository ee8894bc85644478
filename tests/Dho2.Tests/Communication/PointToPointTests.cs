using System;
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

    [Fact]
    public void HandsOverTheSameStorageWithoutHistory()
    {
        IntPtr[] addresses = new IntPtr[2];
        Ranks.Run(2, c =>
        {
            using DisposeScope scope = torch.NewDisposeScope();
            if (c.Rank == 0)
            {
                torch.Tensor leaf = torch.ones(5, requires_grad: true);
                torch.Tensor result = leaf * 2;
                addresses[0] = result.storage<float>().data_ptr();
                c.Send(result, 1);
                Assert.Equal(20, c.BytesSent);
            }
            else
            {
                torch.Tensor received = c.Receive(0);
                addresses[1] = received.storage<float>().data_ptr();
                Assert.False(received.requires_grad);
                Assert.Equal([2f, 2f, 2f, 2f, 2f], received.data<float>().ToArray());
            }
        });
        Assert.NotEqual(IntPtr.Zero, addresses[0]);
        Assert.Equal(addresses[0], addresses[1]);
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
