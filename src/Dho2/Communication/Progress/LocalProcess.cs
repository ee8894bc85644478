using System;
using System.Globalization;
using System.IO;

namespace Dho2.Communication;

/// <summary>A process, told apart from a later one with the same number by when it started.</summary>
/// <param name="Id">Its number.</param>
/// <param name="Started">When it started, in ticks since the machine did; 0 where that cannot be known.</param>
/// <param name="Host">The machine's name.</param>
internal sealed record LocalProcess(int Id, long Started, string Host)
{
    /// <summary>Whether it is a process of this machine.</summary>
    public bool IsHere => Started > 0 && Host == HostName();

    /// <summary>Whether it lives; a process that has ended but was not yet waited for does not. Of this machine's only.</summary>
    public bool IsAlive => Stat(Id.ToString(CultureInfo.InvariantCulture)) is { } stat && stat.State is not ('Z' or 'X') && stat.Started == Started;

    /// <summary>This process.</summary>
    public static LocalProcess Self() => new(Environment.ProcessId, Stat("self")?.Started ?? 0, HostName());

    /// <summary>Names the parent of this process: what processes share that one launcher has started on one machine.</summary>
    public static string ParentName()
    {
        if (Stat("self") is not { } self)
        {
            return string.Empty;
        }

        string parent = self.Parent.ToString(CultureInfo.InvariantCulture);
        return $"{parent}-{Stat(parent)?.Started ?? 0}";
    }

    private static string HostName() => Environment.MachineName.Replace(' ', '-');

    private static (char State, int Parent, long Started)? Stat(string process)
    {
        try
        {
            // proc(5): the name in parentheses may hold anything; state, parent and start are fields 3, 4 and 22.
            string text = File.ReadAllText($"/proc/{process}/stat");
            string[] fields = text[(text.LastIndexOf(')') + 2)..].Split(' ');
            return (fields[0][0], int.Parse(fields[1], CultureInfo.InvariantCulture), long.Parse(fields[19], CultureInfo.InvariantCulture));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException or ArgumentException or IndexOutOfRangeException)
        {
            return null;
        }
    }
}
