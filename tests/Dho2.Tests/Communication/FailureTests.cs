using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using Dho2.Communication;
using TorchSharp;

namespace Dho2.Tests.Communication;

public sealed class FailureTests
{
    private static readonly Dictionary<string, Action<ICommunicator>> WaitingCalls = new()
    {
        ["receive"] = c => c.Receive(0).Dispose(),
        ["all-reduce of numbers"] = c => c.AllReduce(stackalloc double[1]),
        ["all-reduce"] = c => WithTensor(t => c.AllReduce(t)),
        ["broadcast"] = c => WithTensor(t => c.Broadcast(t, 0)),
        ["all-gather"] = c => WithTensor(t => c.AllGather(torch.zeros(9), t)),
        ["reduce-scatter"] = c => WithTensor(t => c.ReduceScatter(torch.zeros(1), t)),
        ["barrier"] = c => c.Barrier(),
        ["split"] = c => c.Split(0, 0).Dispose(),
    };

    public static TheoryData<string> Calls() => [.. WaitingCalls.Keys];

    [Theory]
    [MemberData(nameof(Calls))]
    public void AbortFreesWhoeverWaitsWithTheOneCause(string call)
    {
        var cause = new InvalidOperationException("The third layer is on fire.");
        Exception?[] failures = Ranks.RunAll(3, c =>
        {
            if (c.Rank == 0)
            {
                Thread.Sleep(30);
                throw cause;
            }

            WaitingCalls[call](c);
        });
        Assert.Contains("on fire", failures[0]!.Message, StringComparison.Ordinal);
        foreach (Exception? failure in failures.Skip(1))
        {
            var freed = Assert.IsType<CommunicationException>(failure);
            Assert.Contains("on fire", freed.InnerException!.Message, StringComparison.Ordinal);
            Assert.Contains("on fire", freed.Message, StringComparison.Ordinal);
        }

        Assert.Contains("Rank 1", failures[1]!.Message, StringComparison.Ordinal);
        Assert.Contains("Rank 2", failures[2]!.Message, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Calls))]
    public void AfterAnAbortEveryCallThrows(string call)
    {
        Ranks.Run(3, c =>
        {
            c.Abort(new InvalidOperationException("over"));
            Assert.Throws<CommunicationException>(() => WaitingCalls[call](c));
            Assert.Throws<CommunicationException>(() => WithTensor(t => c.Send(t, 0)));
        });
    }

    [Theory]
    [MemberData(nameof(Calls))]
    public void ARankThatNeverComesEndsTheWaitAndIsNamed(string call)
    {
        Exception?[] failures = Ranks.RunAll(
            3,
            c =>
            {
                if (c.Rank != 0)
                {
                    WaitingCalls[call](c);
                }
            },
            Ranks.ShortTimeout);
        Assert.Null(failures[0]);
        Assert.All(failures.Skip(1), f => Assert.IsType<CommunicationException>(f));
        Assert.Contains(failures.Skip(1), f => f!.Message.Contains("rank 0", StringComparison.Ordinal) && f.Message.Contains(FormattableString.Invariant($"{Ranks.ShortTimeout.TotalSeconds:0.###} s"), StringComparison.Ordinal));
    }

    [Fact]
    public void AnAbortInASplitGroupFreesTheRanksOfAllGroups()
    {
        var cause = new InvalidOperationException("half of us are gone");
        Exception?[] failures = Ranks.RunAll(4, c =>
        {
            using ICommunicator half = c.Split(c.Rank / 2, c.Rank);
            if (c.Rank == 3)
            {
                Thread.Sleep(30);
                half.Abort(cause);
                return;
            }

            if (c.Rank == 2)
            {
                c.Receive(3).Dispose();
            }

            half.Receive(1 - half.Rank).Dispose();
        });
        Assert.Null(failures[3]);
        Assert.All(
            failures.Take(3),
            f => Assert.Contains(cause.Message, Assert.IsType<CommunicationException>(f).InnerException!.Message, StringComparison.Ordinal));
    }

    [Fact]
    public void MessagesNameRanksOfTheWorldInSplitGroupsToo()
    {
        Exception?[] failures = Ranks.RunAll(
            4,
            c =>
            {
                using ICommunicator half = c.Split(c.Rank / 2, c.Rank);
                if (c.Rank == 2)
                {
                    half.Receive(1).Dispose();
                }
            },
            Ranks.ShortTimeout);
        Assert.Contains("Rank 2 waited", failures[2]!.Message, StringComparison.Ordinal);
        Assert.Contains("for rank 3", failures[2]!.Message, StringComparison.Ordinal);
    }

    private static void WithTensor(Action<torch.Tensor> action)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        action(torch.zeros(3));
    }
}
