using System.Threading;
using TorchSharp;

namespace Dho2.Tests.Training;

public class NativeThreadsTests
{
    [Fact]
    public void AThreadsLimitOutlivesItsFirstOperation()
    {
        int before = torch.get_num_threads();
        int limited = 0;
        using var isLimited = new ManualResetEventSlim();
        using var isPutBack = new ManualResetEventSlim();
        var worker = new Thread(() =>
        {
            NativeThreads.Limit(before + 1);
            isLimited.Set();
            isPutBack.Wait();
            using torch.Tensor product = torch.ones(8, 8).mm(torch.ones(8, 8));
            limited = torch.get_num_threads();
        });
        worker.Start();
        isLimited.Wait();

        // What is set elsewhere counts for threads that have not begun: not for one that has its own.
        torch.set_num_threads(before);
        isPutBack.Set();
        worker.Join();

        Assert.Equal(before + 1, limited);
        Assert.Equal(before, torch.get_num_threads());
    }
}
