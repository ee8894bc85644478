namespace Dho2.Planning;

/// <summary>
/// Bytes that one rank sends in a collective call, as rings send them (Patarasu and Yuan 2009), which is the least that
/// moves them; communicators count the same, whatever their library does underneath. Each call is rounded down to whole bytes.
/// </summary>
public static class RingVolume
{
    /// <summary>An all-reduce of so many bytes over a group.</summary>
    public static long AllReduce(int size, long bytes) => 2 * (size - 1) * bytes / size;

    /// <summary>A reduce-scatter that leaves, or an all-gather that brings, a share of so many bytes.</summary>
    public static long Share(int size, long shareBytes) => (size - 1) * shareBytes;

    /// <summary>An all-reduce of float64 numbers.</summary>
    public static long Numbers(int size, int count) => AllReduce(size, sizeof(double) * (long)count);
}
