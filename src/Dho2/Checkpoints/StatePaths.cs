namespace Dho2.Checkpoints;

/// <summary>Names that writer and reader share.</summary>
internal static class StatePaths
{
    /// <summary>One replica's own copy of a buffer.</summary>
    public static string Buffer(string name) => $"buffers/{name}";
}
