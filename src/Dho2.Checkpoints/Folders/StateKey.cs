using System;
using System.Globalization;

namespace Dho2.Checkpoints;

/// <summary>
/// The name of a tensor in a file of state: <c>replica1/optimizer.momentum/conv1.weight[100:200]</c> where it is one
/// replica's, and holds a part of the parameter; <c>stage0/optimizer.sigma</c> where it belongs to no parameter.
/// </summary>
/// <param name="Path">The component's name for it, and the parameter's, if any.</param>
/// <param name="Stage">The stage; null where there is one for all.</param>
/// <param name="Replica">The replica; null where there is one for all.</param>
/// <param name="Start">The first element within the parameter; null where it is whole.</param>
/// <param name="End">The element after the last.</param>
public readonly record struct StateKey(string Path, int? Stage, int? Replica, long? Start = null, long? End = null)
{
    private const string ReplicaPrefix = "replica";
    private const string StagePrefix = "stage";

    /// <summary>Reads a name; one that follows no rule is its path alone.</summary>
    /// <param name="name">The tensor's name in its file.</param>
    public static StateKey Parse(string name)
    {
        int? replica = TakeNumber(ref name, ReplicaPrefix);
        int? stage = TakeNumber(ref name, StagePrefix);
        int bracket = name.LastIndexOf('[');
        if (bracket > 0 && name[^1] == ']')
        {
            string[] ends = name[(bracket + 1)..^1].Split(':');
            if (ends.Length == 2
                && long.TryParse(ends[0], NumberStyles.None, CultureInfo.InvariantCulture, out long start)
                && long.TryParse(ends[1], NumberStyles.None, CultureInfo.InvariantCulture, out long end))
            {
                return new StateKey(name[..bracket], stage, replica, start, end);
            }
        }

        return new StateKey(name, stage, replica);
    }

    /// <summary>The tensor's name in its file.</summary>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"{(Replica is { } r ? $"{ReplicaPrefix}{r}/" : "")}{(Stage is { } s ? $"{StagePrefix}{s}/" : "")}{Path}{(Start is { } start ? $"[{start}:{End}]" : "")}");

    private static int? TakeNumber(ref string name, string prefix)
    {
        int slash = name.IndexOf('/');
        if (slash > prefix.Length
            && name.StartsWith(prefix, StringComparison.Ordinal)
            && int.TryParse(name.AsSpan(prefix.Length, slash - prefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out int number))
        {
            name = name[(slash + 1)..];
            return number;
        }

        return null;
    }
}
