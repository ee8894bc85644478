using System;
using System.Linq;
using Dho2.Pipelines;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Dho2.Tests.Pipelines;

public sealed class FlatParametersTests
{
    [Fact]
    public void ParametersKeepTheirValuesAndShareTheFlatBuffers()
    {
        using DisposeScope scope = NewDisposeScope();
        Linear linear = nn.Linear(3, 2);
        Parameter bare = nn.Parameter(arange(4).to(float32));
        float[] weight = linear.weight!.data<float>().ToArray();
        using var flat = new FlatParameters([new("fc", linear), new("scale", bare)], float32, CPU);

        Assert.Equal(["fc.weight", "fc.bias", "scale"], flat.Segments.Select(s => s.Name));
        Assert.Equal([0, 6, 8], flat.Segments.Select(s => s.Offset));
        Assert.Equal([2, 3], flat.Segments[0].Shape);
        Assert.Equal(12, flat.Count);
        Assert.Equal(weight, flat.Values.narrow(0, 0, 6).data<float>().ToArray());

        // Both ways: a change of the buffer is seen by the layer, backward adds to the buffer.
        flat.Values.fill_(1);
        Tensor x = ones(1, 3);
        (linear.forward(x).sum() + (bare * 5).sum()).backward();
        (linear.forward(x).sum() + (bare * 5).sum()).backward();
        Assert.Equal(4, linear.forward(x)[0, 0].item<float>());
        Assert.Equal([2, 2, 2, 2, 2, 2, 2, 2, 10, 10, 10, 10], flat.Gradients.data<float>().ToArray());
        flat.Gradients.zero_();
        Assert.Equal(0, linear.weight!.grad!.sum().item<float>());
    }

    [Fact]
    public void ASharedParameterTakesOnePlaceAndAFrozenOneNone()
    {
        using DisposeScope scope = NewDisposeScope();
        Parameter shared = nn.Parameter(ones(4));
        Parameter frozen = nn.Parameter(ones(5), requires_grad: false);
        using var flat = new FlatParameters([new("a", shared), new("b", shared), new("c", frozen)], float32, CPU);
        Assert.Equal("a", Assert.Single(flat.Segments).Name);
        Assert.Equal(4, flat.Count);
    }

    [Fact]
    public void BuffersAreListedByTheNamesOfTheUnsplitModel()
    {
        using DisposeScope scope = NewDisposeScope();
        using var flat = new FlatParameters([new("norm", nn.BatchNorm1d(3))], float32, CPU);
        Assert.Equal(["norm.num_batches_tracked", "norm.running_mean", "norm.running_var"], flat.Buffers.Select(b => b.Name).Order());
    }

    [Fact]
    public void RefusesAParameterOfAnotherElementType()
    {
        using DisposeScope scope = NewDisposeScope();
        Parameter bare = nn.Parameter(zeros(4, float64));
        string message = Assert.Throws<NotSupportedException>(() => new FlatParameters([new("scale", bare)], float32, CPU)).Message;
        Assert.Contains("'scale' is Float64", message, StringComparison.Ordinal);
    }
}
