using System;
using TorchSharp;

namespace Dho2.Curvature;

/// <summary>
/// Keeps attention to its kernel of plain matrix products while a graph is built that is to be differentiated twice: the
/// fused kernel has no second derivative. The switch belongs to the process, so it is restored when the last rank that
/// needs it off is done.
/// </summary>
internal sealed class MathAttention : IDisposable
{
    private static readonly object Lock = new();
    private static int users;
    private static bool before;

    public MathAttention()
    {
        lock (Lock)
        {
            if (users++ == 0)
            {
                before = torch.backends.cuda.flash_sdp_enabled();
                torch.backends.cuda.enable_flash_sdp(false);
            }
        }
    }

    public void Dispose()
    {
        lock (Lock)
        {
            if (--users == 0)
            {
                torch.backends.cuda.enable_flash_sdp(before);
            }
        }
    }
}
