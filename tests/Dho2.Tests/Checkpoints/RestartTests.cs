using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Threading.Tasks;
using Dho2.Checkpoints.Tests;

namespace Dho2.Tests.Checkpoints;

/// <summary>Training that is stopped and goes on in a new process is, bit for bit, training that never stopped.</summary>
public sealed class RestartTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void EveryKindOfRunGoesOnInANewProcessAsIfNothingHadHappened()
    {
        Dictionary<string, string[]> stopped = ByCase(RunProcess("stop"));
        Dictionary<string, string[]> resumed = ByCase(RunProcess("go"));
        Assert.Equal(RestartCases.All.Keys, resumed.Keys);
        foreach (string name in RestartCases.All.Keys)
        {
            string[] whole = [.. RestartCases.Run(name, folder: null, stop: false)];
            Assert.Equal($"{name} resumed {RestartCases.SavedAt}", resumed[name][0]);

            // Steps 11 and 12 were made twice: by the process that was stopped, and again from the checkpoint.
            string[] first = [.. stopped[name].TakeWhile(line => !line.StartsWith($"{name} loss {RestartCases.SavedAt + 1} ", StringComparison.Ordinal))];
            first = [.. first.Where(line => !line.StartsWith($"{name} eigenvalue {RestartCases.SavedAt + 1} ", StringComparison.Ordinal))];
            string[] together = [.. first, .. resumed[name][1..]];
            Assert.Equal(whole, together);
        }
    }

    private static Dictionary<string, string[]> ByCase(string output) => output.Split('\n', StringSplitOptions.RemoveEmptyEntries)
        .GroupBy(line => line.Split(' ')[0])
        .ToDictionary(lines => lines.Key, lines => lines.ToArray());

    private string RunProcess(string mode)
    {
        var start = new ProcessStartInfo(
            Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet",
            [typeof(RestartTests).Assembly.Location, folder.Path, mode])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, $"{output}\n{errors.Result}");
        return output;
    }
}
