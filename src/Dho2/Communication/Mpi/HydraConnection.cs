using System;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Dho2.Communication.Mpi;

/// <summary>
/// What MPICH's launcher, Hydra, hears of a process at its end: words of the first version of the process management
/// interface, a line each, over a descriptor that the launcher hands on.
/// <para>
/// MPICH 4.0 and 4.1 may wait for ever in <c>MPI_Finalize</c> where UCX sends over a network: a process that is done with
/// its own connections waits for the launcher and no longer attends to those of the others (mended in 4.2 by pull request
/// 6596 of pmodels/mpich). There a process ends without that call. The launcher takes that for a crash, unless it is told.
/// </para>
/// </summary>
internal sealed partial class HydraConnection
{
    private const int MostBytes = 1024;
    private readonly int descriptor;

    private HydraConnection(int descriptor) => this.descriptor = descriptor;

    /// <summary>The connection of this process where its MPI cannot be trusted to end; null where it can.</summary>
    /// <param name="libraryVersion">All that MPI says of itself.</param>
    /// <param name="variable">Reads a variable of the environment. Hydra sets <c>MPI_LOCALRANKID</c>; others that set
    /// <c>PMI_FD</c>, such as Slurm, may speak another version of the interface.</param>
    public static HydraConnection? IfNeeded(string libraryVersion, Func<string, string?> variable) =>
        DeviceWithoutEnd().IsMatch(libraryVersion) && variable("MPI_LOCALRANKID") is { Length: > 0 }
            && int.TryParse(variable("PMI_FD"), NumberStyles.None, CultureInfo.InvariantCulture, out int descriptor)
            ? new(descriptor) : null;

    /// <summary>Waits until all processes of the job are here, and tells the launcher that this one ends well.</summary>
    /// <param name="limit">How long that may take.</param>
    /// <returns>Whether the launcher has understood.</returns>
    public bool Leave(TimeSpan limit)
    {
        long start = Stopwatch.GetTimestamp();
        return Ask("cmd=barrier_in\n", "cmd=barrier_out", start, limit) && Ask("cmd=finalize\n", "cmd=finalize_ack", start, limit);
    }

    private bool Ask(string line, string answer, long start, TimeSpan limit)
    {
        if (!Libc.Write(descriptor, Encoding.ASCII.GetBytes(line)))
        {
            return false;
        }

        var heard = new StringBuilder();
        Span<byte> piece = stackalloc byte[1];
        while (heard.Length < MostBytes)
        {
            TimeSpan left = limit - Stopwatch.GetElapsedTime(start);
            if (left <= TimeSpan.Zero || !Libc.WaitForInput(descriptor, left) || !Libc.Read(descriptor, piece))
            {
                return false;
            }

            if (piece[0] == '\n')
            {
                return heard.ToString().StartsWith(answer, StringComparison.Ordinal);
            }

            heard.Append((char)piece[0]);
        }

        return false;
    }

    [GeneratedRegex(@"^MPICH Version:\s*4\.[01]\b[\s\S]*^MPICH Device:\s*ch4:ucx", RegexOptions.Multiline | RegexOptions.CultureInvariant)]
    private static partial Regex DeviceWithoutEnd();
}
