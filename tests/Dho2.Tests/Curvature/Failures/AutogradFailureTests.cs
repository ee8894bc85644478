using System;
using System.Threading.Tasks;

namespace Dho2.Tests.Curvature;

/// <summary>Errors inside automatic differentiation, in a process of their own: each is an exception, and the process goes on.</summary>
public sealed class AutogradFailureTests
{
    [Fact]
    public async Task EveryErrorIsAnExceptionThatNamesItsPlaceAndTheProcessGoesOn()
    {
        (string[] lines, string all) = await OwnProcess.RunAsync("autograd-failures");
        Assert.Equal("all done", lines[^1]);
        foreach (string name in AutogradFailures.All.Keys)
        {
            foreach (int stages in new[] { 1, 2 })
            {
                string line = Assert.Single(lines, l => l.StartsWith($"{name} {stages} ", StringComparison.Ordinal) && !l.EndsWith(" begins", StringComparison.Ordinal));
                Assert.True(line.StartsWith($"{name} {stages} stage 0 micro-batch 0: ", StringComparison.Ordinal), all);
            }
        }

        // What was wrong is said, too.
        Assert.Contains(lines, l => l.StartsWith("no-second-derivative 1 ", StringComparison.Ordinal) && l.Contains("'_embedding_bag_backward' is not implemented", StringComparison.Ordinal));
        Assert.Contains(lines, l => l.StartsWith("changed-in-place 2 ", StringComparison.Ordinal) && l.Contains("modified by an inplace operation", StringComparison.Ordinal));
    }
}
