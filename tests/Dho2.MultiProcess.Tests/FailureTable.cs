using System;
using System.Globalization;
using System.IO;
using System.Text.RegularExpressions;

namespace Dho2.MultiProcess.Tests;

/// <summary>
/// Writes down how each failure ended, as rows of a Markdown table, where the variable DHO2_FAILURE_TABLE names a file:
/// from the fault, or where there is none from the start, until no process of the job was left.
/// </summary>
internal static class FailureTable
{
    private const string Head = "| what went wrong | launcher | ranks | all processes ended after | counted from | exit status | message |\n|---|---|---|---|---|---|---|\n";
    private static readonly object Gate = new();

    public static void Add(string what, string launcher, int ranks, TimeSpan ended, bool fromFault, JobResult result)
    {
        if (Environment.GetEnvironmentVariable("DHO2_FAILURE_TABLE") is not { Length: > 0 } file)
        {
            return;
        }

        lock (Gate)
        {
            if (!File.Exists(file))
            {
                File.WriteAllText(file, Head);
            }

            File.AppendAllText(file, string.Create(
                CultureInfo.InvariantCulture,
                $"| {what} | {launcher} | {ranks} | {ended.TotalSeconds:F1} s | {(fromFault ? "fault" : "start")} | {result.ExitCode} | {Message(result)} |\n"));
        }
    }

    // Numbers of processes and the machine's name say nothing to a reader.
    private static string Message(JobResult result) => result.Messages.Length == 0 ? "none: the launcher killed the witnesses"
        : Regex.Replace(result.Messages[0], @"process \d+ on [^)]+", "process ... on ...").Replace("|", "\\|", StringComparison.Ordinal);
}
