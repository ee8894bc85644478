using System;
using System.Diagnostics;
using System.Globalization;
using System.Linq;
using System.Threading.Tasks;

namespace Dho2.Tests.Pipelines;

/// <summary>In its steady state the executor allocates nothing: only TorchSharp makes its handles, scopes and arrays.</summary>
public sealed class ExecutorAllocationTests
{
    [Fact]
    public async Task AStepAllocatesNoMoreThanItsCallsOfTorchSharp()
    {
        var start = new ProcessStartInfo(
            Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet",
            [typeof(ExecutorAllocationTests).Assembly.Location, "executor-allocations"])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };

        // Code stays as it is first compiled.
        start.Environment["DOTNET_TC_CallCounting"] = "0";
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.True(process.ExitCode == 0, $"Exit code {process.ExitCode}.\n{output}\n{await errors}");
        long[][] lines = [.. output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line =>
            line.Split(' ').Select(number => long.Parse(number, CultureInfo.InvariantCulture)).ToArray())];
        Assert.Equal(ExecutorAllocations.Stages.Length, lines.Length);
        Assert.All(lines, line =>
        {
            Assert.True(line[1] > 0);
            Assert.True(line[0] <= line[1], $"A step of the executor allocates {line[0]} bytes, its calls of TorchSharp {line[1]}.");
        });
    }
}
