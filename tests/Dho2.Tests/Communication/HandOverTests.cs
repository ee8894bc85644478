using System;
using TorchSharp;

namespace Dho2.Tests.Communication;

/// <summary>What ranks in one process have over those in several.</summary>
public sealed class HandOverTests
{
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
}
