using TorchSharp;

namespace Dho2;

/// <summary>The threads that libtorch uses within an operation, a setting of each thread that calls it.</summary>
internal static class NativeThreads
{
    /// <summary>Limits the calling thread's.</summary>
    /// <param name="count">The number; at least 1.</param>
    /// <remarks>
    /// Also what threads start from that have not yet called libtorch. On a thread's first operation libtorch itself sets what
    /// was set last by any, which would undo a limit that came before it: asking for the number counts as one.
    /// </remarks>
    public static void Limit(int count)
    {
        _ = torch.get_num_threads();
        torch.set_num_threads(count);
    }
}
