using System;
using System.Collections.Generic;
using System.Linq;
using TorchSharp;
using TorchSharp.Modules;

namespace Dho2.Pipelines;

/// <summary>
/// A stage's trainable parameters on one flat buffer, and their gradients on another: what optimizers, collectives and
/// checkpoints work on. The modules' own parameters become views, so that forward and backward read and accumulate in place.
/// </summary>
public sealed class FlatParameters : IDisposable
{
    private readonly List<torch.Tensor> gradientViews = [];

    /// <summary>Moves the parameters of a stage onto new flat buffers; their values stay.</summary>
    /// <param name="layers">The stage's layers. A parameter that two layers share takes one place, under its first name.</param>
    /// <param name="dtype">The element type of all parameters.</param>
    /// <param name="device">The device of all parameters.</param>
    /// <param name="mirrors">Parameters within the layers that another stage owns, and that take no place here; null for none.</param>
    /// <param name="multiple">The buffers are padded with zeros to a multiple of so many elements.</param>
    /// <exception cref="NotSupportedException">A parameter has another element type.</exception>
    public FlatParameters(
        IReadOnlyList<StageLayer> layers, torch.ScalarType dtype, torch.Device device, IReadOnlyList<ParameterMirror>? mirrors = null, int multiple = 1)
    {
        var parameters = new List<(string Name, Parameter Parameter)>();
        var seen = new HashSet<(IntPtr, long)>((mirrors ?? []).Select(mirror => TensorIdentity.Of(mirror.Parameter)));
        foreach ((string name, Parameter parameter) in layers.SelectMany(ParametersOf))
        {
            if (parameter.requires_grad && seen.Add(TensorIdentity.Of(parameter)))
            {
                parameters.Add((name, parameter));
            }
        }

        if (parameters.FirstOrDefault(p => p.Parameter.dtype != dtype) is { Parameter: { } other, Name: { } otherName })
        {
            throw new NotSupportedException($"Parameter '{otherName}' is {other.dtype}, its stage is {dtype}: a stage's parameters share one element type.");
        }

        Count = parameters.Sum(p => p.Parameter.numel());
        using DisposeScope scope = torch.NewDisposeScope();
        using IDisposable noGrad = torch.no_grad();
        long padded = (Count + multiple - 1) / multiple * multiple;
        PaddedValues = torch.zeros(padded, dtype, device).DetachFromDisposeScope();
        PaddedGradients = torch.zeros(padded, dtype, device).DetachFromDisposeScope();
        Values = padded == Count ? PaddedValues : PaddedValues.narrow(0, 0, Count).DetachFromDisposeScope();
        Gradients = padded == Count ? PaddedGradients : PaddedGradients.narrow(0, 0, Count).DetachFromDisposeScope();
        var segments = new List<FlatSegment>();
        long offset = 0;
        foreach ((string name, Parameter parameter) in parameters)
        {
            long[] shape = [.. parameter.shape];
            long length = parameter.numel();
            torch.Tensor view = Values.narrow(0, offset, length).view(shape);
            view.copy_(parameter);
            parameter.set_(view);
            torch.Tensor gradient = Gradients.narrow(0, offset, length).view(shape).DetachFromDisposeScope();
            parameter.grad = gradient;
            gradientViews.Add(gradient);
            segments.Add(new(name, offset, length, shape));
            offset += length;
        }

        Segments = segments;
        Parameters = [.. parameters.Select(p => p.Parameter)];
        Buffers = [.. layers.SelectMany(BuffersOf)];
    }

    /// <summary>The number of elements (n_s).</summary>
    public long Count { get; }

    /// <summary>The parameters, shape (n_s).</summary>
    public torch.Tensor Values { get; }

    /// <summary>Their gradients, shape (n_s); backward adds to them.</summary>
    public torch.Tensor Gradients { get; }

    /// <summary>The parameters and the padding behind them.</summary>
    internal torch.Tensor PaddedValues { get; }

    /// <summary>The gradients and the padding behind them.</summary>
    internal torch.Tensor PaddedGradients { get; }

    /// <summary>The place of each parameter, in order.</summary>
    public IReadOnlyList<FlatSegment> Segments { get; }

    /// <summary>The parameters themselves, in the order of <see cref="Segments"/>; they belong to their modules.</summary>
    public IReadOnlyList<Parameter> Parameters { get; }

    /// <summary>The buffers of the layers, such as running statistics, by their names in the unsplit model; not on the flat buffer.</summary>
    public IReadOnlyList<(string Name, torch.Tensor Buffer)> Buffers { get; }

    /// <summary>Releases the flat buffers. The modules' parameters keep theirs alive until they are disposed.</summary>
    public void Dispose()
    {
        gradientViews.ForEach(view => view.Dispose());
        Gradients.Dispose();
        Values.Dispose();
        PaddedGradients.Dispose();
        PaddedValues.Dispose();
    }

    private static IEnumerable<(string Name, Parameter Parameter)> ParametersOf(StageLayer layer) =>
        layer.Parameter is { } parameter
            ? [(layer.Name, parameter)]
            : layer.Module!.named_parameters().Select(p => ($"{layer.Name}.{p.name}", p.parameter));

    private static IEnumerable<(string Name, torch.Tensor Buffer)> BuffersOf(StageLayer layer) =>
        layer.Module is { } module ? module.named_buffers().Select(b => ($"{layer.Name}.{b.name}", b.buffer)) : [];
}

/// <summary>Where a parameter lies on its stage's flat buffer.</summary>
/// <param name="Name">Its name in the unsplit model.</param>
/// <param name="Offset">Its first element.</param>
/// <param name="Length">Its number of elements.</param>
/// <param name="Shape">Its sizes.</param>
public sealed record FlatSegment(string Name, long Offset, long Length, IReadOnlyList<long> Shape);
