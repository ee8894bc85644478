using System;
using System.Runtime.InteropServices;
using System.Threading;
using TorchSharp;

namespace Dho2.Curvature;

/// <summary>
/// libtorch warns, once in a process, that a backward which creates a graph may leak: a leaf would hold a derivative that
/// holds the leaf. <see cref="StageGraph"/> takes every derivative off its leaf, so the warning is a false alarm here; it
/// is let off where nobody sees it, before it lands in the middle of a user's progress display.
/// </summary>
internal static class CyclicGraphWarning
{
    private const string Library = "libc10.so";
    private const string LevelVariable = "FLAGS_caffe2_log_level";
    private const int ErrorsOnly = 2;

    private static readonly Lock Gate = new();
    private static bool isSpent;

    /// <summary>Lets the warning off unseen, the first time; where libtorch's level of messages cannot be reached, it stays to come.</summary>
    public static void Spend()
    {
        lock (Gate)
        {
            if (isSpent)
            {
                return;
            }

            isSpent = true;
            if (OperatingSystem.IsLinux()
                && NativeLibrary.TryLoad(Library, out nint library)
                && NativeLibrary.TryGetExport(library, LevelVariable, out nint level))
            {
                int before = Marshal.ReadInt32(level);
                Marshal.WriteInt32(level, Math.Max(before, ErrorsOnly));
                try
                {
                    Provoke();
                }
                finally
                {
                    Marshal.WriteInt32(level, before);
                }
            }
        }
    }

    private static void Provoke()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        using IDisposable grad = torch.enable_grad();
        torch.Tensor leaf = torch.ones(1, requires_grad: true);
        torch.autograd.backward([leaf * leaf], [torch.ones(1)], retain_graph: true, create_graph: true, inputs: [leaf]);
        leaf.grad = null;
    }
}
