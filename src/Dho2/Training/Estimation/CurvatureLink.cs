using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Communication;
using TorchSharp;

namespace Dho2;

/// <summary>What a worker tells the rank that estimates for its stage, and what comes back.</summary>
internal enum CurvatureMessage
{
    /// <summary>The sender is at work: nothing to do but not to give it up.</summary>
    AtWork,

    /// <summary>A snapshot follows.</summary>
    Snapshot,

    /// <summary>A call of the trainer is over; what it came to follows.</summary>
    EndOfCall,

    /// <summary>What was found follows.</summary>
    Result,
}

/// <summary>Messages between workers and the ranks that estimate beside them: numbers, the first of which says what for, and tensors.</summary>
internal static class CurvatureLink
{
    /// <summary>Sends numbers.</summary>
    public static void SendNumbers(this ICommunicator link, CurvatureMessage message, IReadOnlyList<double> numbers, int destination)
    {
        using torch.Tensor tensor = torch.tensor((double[])[(double)message, .. numbers], torch.float64);
        link.Send(tensor, destination);
    }

    /// <summary>Waits for numbers.</summary>
    public static (CurvatureMessage Message, double[] Numbers) ReceiveNumbers(this ICommunicator link, int source)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        double[] numbers = link.Receive(source).data<double>().ToArray();
        return ((CurvatureMessage)numbers[0], numbers[1..]);
    }

    /// <summary>Sends copies of tensors, which may change afterwards.</summary>
    public static void SendCopies(this ICommunicator link, IEnumerable<torch.Tensor> tensors, int destination)
    {
        using IDisposable noGrad = torch.no_grad();
        foreach (torch.Tensor tensor in tensors)
        {
            using torch.Tensor copy = tensor.detach().clone();
            link.Send(copy, destination);
        }
    }

    /// <summary>Waits for tensors, which belong to no scope.</summary>
    public static torch.Tensor[] ReceiveTensors(this ICommunicator link, int count, int source) =>
        [.. Enumerable.Range(0, count).Select(_ => link.Receive(source).DetachFromDisposeScope())];
}
