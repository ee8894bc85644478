using System;
using System.Diagnostics;
using System.Globalization;
using System.Threading;
using System.Threading.Tasks;
using Dho2.Tests.Shared;

namespace Dho2.Checkpoints.Tests;

/// <summary>Another process, which saves checkpoints.</summary>
internal static class DriverProcess
{
    /// <summary>Lets it save until it is killed.</summary>
    /// <param name="folder">Where to.</param>
    /// <param name="moment">When it is killed, counted from its first checkpoint.</param>
    /// <returns>The last step that it said was saved, or 0.</returns>
    public static long SaveUntilKilled(string folder, TimeSpan moment)
    {
        using Process process = Start(Host, BuildMetadata.Get("Driver"), "loop", folder);
        string? line = process.StandardOutput.ReadLine();
        long saved = line is null ? 0 : long.Parse(line, CultureInfo.InvariantCulture);

        // A sleep is far coarser than a save.
        long start = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(start) < moment)
        {
            Thread.Yield();
        }

        process.Kill();
        while (process.StandardOutput.ReadLine() is { Length: > 0 } more)
        {
            saved = long.Parse(more, CultureInfo.InvariantCulture);
        }

        process.WaitForExit();
        return saved;
    }

    /// <summary>Lets it save until it cannot, where no file may be longer than a number of KiB.</summary>
    public static (int ExitCode, string Output, string Errors) FillWithin(string folder, int kibibytes) => Finish(Start(

        // Without the trap the system would end the process at the first byte too many.
        "bash", "-c", "trap '' XFSZ; ulimit -f $0; exec \"$@\"", kibibytes.ToString(CultureInfo.InvariantCulture), Host, BuildMetadata.Get("Driver"), "fill", folder));

    /// <summary>Lets it save until it cannot, on a disk of so many KiB, which only that process sees.</summary>
    public static (int ExitCode, string Output, string Errors) FillDisk(string folder, int kibibytes) => Finish(Start(
        "unshare", "-rm", "sh", "-c", $"mount -t tmpfs -o size={kibibytes}k tmpfs \"$0\" || exit 77; exec \"$@\"", folder, Host, BuildMetadata.Get("Driver"), "fill", folder));

    private static string Host => Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet";

    private static Process Start(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };

        // The runtime's own memory would count as a file of 2 GiB.
        start.Environment["DOTNET_EnableWriteXorExecute"] = "0";
        return Process.Start(start)!;
    }

    private static (int ExitCode, string Output, string Errors) Finish(Process process)
    {
        using (process)
        {
            Task<string> errors = process.StandardError.ReadToEndAsync();
            string output = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            return (process.ExitCode, output, errors.Result);
        }
    }
}
