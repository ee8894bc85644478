using System;
using TorchSharp;

namespace Dho2.Tests;

/// <summary>Counts tensors that nobody has disposed.</summary>
internal static class LiveTensors
{
    public static long Count => torch.Tensor.TotalCount;

    /// <summary>
    /// Lets the garbage collector finish off what earlier tests and TorchSharp's factories have left, so that from now on
    /// only what is measured changes the count.
    /// </summary>
    public static void Settle()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        GC.Collect();
    }
}
