using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Numerics;
using TorchSharp;
using TorchSharp.Modules;

namespace Dho2.Pipelines;

/// <summary>
/// A stage's trainable parameters on one flat buffer, and their gradients on another: what optimizers, collectives and
/// checkpoints work on. The modules' own parameters become views, so that forward and backward read and accumulate in place.
/// </summary>
public sealed class FlatParameters : IDisposable
{
    private const long CollectedAtOnce = 1 << 18;

    private readonly List<torch.Tensor> gradientViews = [];
    private readonly torch.Tensor? rounded;
    private readonly torch.Tensor? roundedGradients;

    /// <summary>Moves the parameters of a stage onto new flat buffers; their values stay.</summary>
    /// <param name="layers">The stage's layers. A parameter that two layers share takes one place, under its first name.</param>
    /// <param name="dtype">The element type of all parameters.</param>
    /// <param name="device">The device of all parameters.</param>
    /// <param name="mirrors">Parameters within the layers that another stage owns, and that take no place here; null for none.</param>
    /// <param name="multiple">The buffers are padded with zeros to a multiple of so many elements.</param>
    /// <exception cref="NotSupportedException">A parameter has another element type.</exception>
    public FlatParameters(
        IReadOnlyList<StageLayer> layers, torch.ScalarType dtype, torch.Device device, IReadOnlyList<ParameterMirror>? mirrors = null, int multiple = 1)
        : this(layers, new StageContext(0) { DType = dtype, Device = device }, mirrors, multiple)
    {
    }

    /// <summary>
    /// The same for a stage that may compute in a coarser type than its parameters are trained in: the flat buffers are of the
    /// finer type, and what the modules have are roundings of it.
    /// </summary>
    /// <param name="layers">The stage's layers.</param>
    /// <param name="context">The context that they were built with; parameters begin with the values that they had before they were rounded.</param>
    /// <param name="mirrors">Parameters within the layers that another stage owns; null for none.</param>
    /// <param name="multiple">The buffers are padded with zeros to a multiple of so many elements.</param>
    /// <exception cref="NotSupportedException">A parameter has neither of the context's element types.</exception>
    public FlatParameters(IReadOnlyList<StageLayer> layers, StageContext context, IReadOnlyList<ParameterMirror>? mirrors = null, int multiple = 1)
    {
        (torch.ScalarType dtype, torch.Device device) = (context.MasterType ?? context.DType, context.Device);
        var parameters = new List<(string Name, Parameter Parameter)>();
        var seen = new HashSet<(IntPtr, long)>((mirrors ?? []).Select(mirror => TensorIdentity.Of(mirror.Parameter)));
        foreach ((string name, Parameter parameter) in layers.SelectMany(ParametersOf))
        {
            if (parameter.requires_grad && seen.Add(TensorIdentity.Of(parameter)))
            {
                parameters.Add((name, parameter));
            }
        }

        if (parameters.FirstOrDefault(p => p.Parameter.dtype != dtype && p.Parameter.dtype != context.DType) is { Parameter: { } other, Name: { } otherName })
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
        if (context.IsMixed)
        {
            rounded = torch.zeros(Count, context.DType, device).DetachFromDisposeScope();
            roundedGradients = torch.zeros(Count, context.DType, device).DetachFromDisposeScope();
        }

        var segments = new List<FlatSegment>();
        long offset = 0;
        foreach ((string name, Parameter parameter) in parameters)
        {
            long[] shape = [.. parameter.shape];
            long length = parameter.numel();
            torch.Tensor view = Values.narrow(0, offset, length).view(shape);
            using torch.Tensor? exact = context.TakeUnrounded(parameter);
            view.copy_(exact ?? parameter);

            // What stays in the finer type has no need of a rounding.
            bool isRounded = rounded is not null && parameter.dtype != dtype;
            parameter.set_(isRounded ? rounded!.narrow(0, offset, length).view(shape) : view);
            torch.Tensor gradient = (isRounded ? roundedGradients! : Gradients).narrow(0, offset, length).view(shape).DetachFromDisposeScope();
            parameter.grad = gradient;
            gradientViews.Add(gradient);
            segments.Add(new(name, offset, length, shape));
            offset += length;
        }

        Segments = segments;
        Parameters = [.. parameters.Select(p => p.Parameter)];
        Buffers = [.. layers.SelectMany(BuffersOf)];
        context.ReleaseUnrounded();
        PublishValues();
    }

    /// <summary>The number of elements (n_s).</summary>
    public long Count { get; }

    /// <summary>The parameters, shape (n_s); where the stage computes in a coarser type, the modules see changes after <see cref="PublishValues"/>.</summary>
    public torch.Tensor Values { get; }

    /// <summary>Their gradients, shape (n_s); backward adds to them, or, where the stage computes in a coarser type, <see cref="CollectGradients()"/>.</summary>
    public torch.Tensor Gradients { get; }

    /// <summary>The parameters and the padding behind them.</summary>
    internal torch.Tensor PaddedValues { get; }

    /// <summary>The gradients and the padding behind them.</summary>
    internal torch.Tensor PaddedGradients { get; }

    /// <summary>The parameters in the type that the stage computes in, shape (n_s): <see cref="Values"/> itself, or its rounding.</summary>
    internal torch.Tensor ComputeValues => rounded ?? Values;

    /// <summary>The place of each parameter, in order.</summary>
    public IReadOnlyList<FlatSegment> Segments { get; }

    /// <summary>The parameters themselves, in the order of <see cref="Segments"/>; they belong to their modules.</summary>
    public IReadOnlyList<Parameter> Parameters { get; }

    /// <summary>The buffers of the layers, such as running statistics, by their names in the unsplit model; not on the flat buffer.</summary>
    public IReadOnlyList<(string Name, torch.Tensor Buffer)> Buffers { get; }

    /// <summary>Each parameter by its name in the unsplit model, as a view of <see cref="Values"/> that belongs to the current scope, and each buffer.</summary>
    public IEnumerable<(string Name, torch.Tensor Value)> NamedValues() =>
        Segments.Select(s => (s.Name, s.ViewOf(Values))).Concat(Buffers);

    /// <summary>
    /// Rounds the parameters to what the modules compute with: needed before a forward once <see cref="Values"/> have changed.
    /// Nothing where the stage computes in their own type.
    /// </summary>
    public void PublishValues()
    {
        if (rounded is not null)
        {
            using IDisposable noGrad = torch.no_grad();
            rounded.copy_(Values);
        }
    }

    /// <summary>
    /// Adds what backwards have left in the type that the stage computes in to <see cref="Gradients"/>, and clears it: after
    /// every micro-batch, so that they add up in the finer type. Nothing where the stage computes in their own type.
    /// </summary>
    public void CollectGradients() => CollectGradients(0, Count);

    /// <summary>The same for some of the elements, where others are being reduced.</summary>
    /// <param name="start">The first of them.</param>
    /// <param name="length">Their number.</param>
    internal void CollectGradients(long start, long length)
    {
        if (roundedGradients is not null)
        {
            using DisposeScope scope = torch.NewDisposeScope();
            using IDisposable noGrad = torch.no_grad();

            // On a CPU, libtorch adds tensors of two types by way of a converted copy: a small one, for each part in turn.
            long step = Gradients.device_type == DeviceType.CPU ? CollectedAtOnce : Math.Max(1, length);
            for (long end = start + length; start < end; start += step)
            {
                torch.Tensor part = roundedGradients.narrow(0, start, Math.Min(step, end - start));
                Gradients.narrow(0, start, part.NumberOfElements).Increase(part);
                part.zero_();
            }
        }
    }

    /// <summary>Releases the flat buffers. The modules' parameters keep theirs alive until they are disposed.</summary>
    public void Dispose()
    {
        gradientViews.ForEach(view => view.Dispose());
        Gradients.Dispose();
        Values.Dispose();
        PaddedGradients.Dispose();
        PaddedValues.Dispose();
        roundedGradients?.Dispose();
        rounded?.Dispose();
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
public sealed record FlatSegment(string Name, long Offset, long Length, IReadOnlyList<long> Shape)
{
    /// <summary>The parameter's part of a flat vector, in its shape; belongs to the current scope.</summary>
    internal torch.Tensor ViewOf(torch.Tensor vector) => vector.narrow(0, Offset, Length).view([.. Shape]);
}
