using System.Collections.Generic;
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
        // Code stays as it is first compiled.
        (string[] printed, _) = await OwnProcess.RunAsync("executor-allocations", new KeyValuePair<string, string>("DOTNET_TC_CallCounting", "0"));
        long[][] lines = [.. printed.Select(line => line.Split(' ').Select(number => long.Parse(number, CultureInfo.InvariantCulture)).ToArray())];
        Assert.Equal(ExecutorAllocations.Stages.Length, lines.Length);
        Assert.All(lines, line =>
        {
            Assert.True(line[1] > 0);
            Assert.True(line[0] <= line[1], $"A step of the executor allocates {line[0]} bytes, its calls of TorchSharp {line[1]}.");
        });
    }
}
