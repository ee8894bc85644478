using Dho2.Cli.Plans;

namespace Dho2.Cli.Tests;

public sealed class LayerNamesTests
{
    [Theory]
    [InlineData("", "")]
    [InlineData("conv", "conv")]
    [InlineData("conv a.0 a.1 head", "conv, a.0, a.1, head")]
    [InlineData("conv a.0 a.1 a.2 head", "conv, a.0 to a.2, head")]
    [InlineData("a.9 a.10 a.11 b.12 b.13 b.14", "a.9 to a.11, b.12 to b.14")]
    [InlineData("a.0 a.2 a.4", "a.0, a.2, a.4")]
    [InlineData("a.b.0 a.b.1 a.b.2 a.c", "a.b.0 to a.b.2, a.c")]
    [InlineData("l0 l1 l2", "l0, l1, l2")]
    [InlineData("a.x a.y a.z", "a.x, a.y, a.z")]
    public void NeighboursInAListAreNamedByTheFirstAndTheLast(string layers, string expected) =>
        Assert.Equal(expected, LayerNames.Text(layers.Split(' ', System.StringSplitOptions.RemoveEmptyEntries)));
}
