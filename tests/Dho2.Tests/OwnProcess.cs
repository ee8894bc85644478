using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Threading.Tasks;

namespace Dho2.Tests;

/// <summary>Runs what this assembly does as a program (Checkpoints/RestartProgram.cs), in a process of its own.</summary>
internal static class OwnProcess
{
    /// <summary>Runs it to its end, which must be a good one.</summary>
    /// <param name="argument">What it is to do.</param>
    /// <param name="variables">Variables of its environment.</param>
    /// <returns>The lines that it printed, and all that it said, for messages.</returns>
    public static async Task<(string[] Lines, string All)> RunAsync(string argument, params KeyValuePair<string, string>[] variables)
    {
        var start = new ProcessStartInfo(
            Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet", [typeof(OwnProcess).Assembly.Location, argument])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach ((string name, string value) in variables)
        {
            start.Environment[name] = value;
        }

        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        string all = $"Exit code {process.ExitCode}.\n{output}\n{await errors}";
        Assert.True(process.ExitCode == 0, all);
        return (output.Split('\n', StringSplitOptions.RemoveEmptyEntries), all);
    }
}
