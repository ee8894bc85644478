using System;
using System.Collections.Generic;
using TorchSharp;

namespace Dho2.Pipelines;

/// <summary>One stage of a partitioned model, as the generator emits it: its own layers and its share of <c>forward</c>.</summary>
public interface IPipelineStage : IDisposable
{
    /// <summary>The stage, counted from 0.</summary>
    int Index { get; }

    /// <summary>Its layers, in source order, by the names they have in the unsplit model.</summary>
    IReadOnlyList<StageLayer> Layers { get; }

    /// <summary>
    /// Its mirrors of parameters that other stages own, one for each <see cref="TiedParameter"/> that names this stage
    /// among its mirrors; none by default.
    /// </summary>
    IReadOnlyList<ParameterMirror> Mirrors => [];

    /// <summary>
    /// Runs the stage's share of <c>forward</c> on one micro-batch.
    /// </summary>
    /// <param name="inputs">The model's inputs (first stage), or the incoming cut's values in the plan's order; scalars as 0-dimensional int64, float64 or bool tensors.</param>
    /// <returns>The outgoing cut's values in the plan's order, or the model's results (last stage).</returns>
    torch.Tensor[] Forward(IReadOnlyList<torch.Tensor> inputs);
}

/// <summary>A layer of a stage: either a module or a bare parameter.</summary>
/// <param name="Name">Its name in the unsplit model, and the prefix of its parameters' names.</param>
/// <param name="Module">The module, or null.</param>
/// <param name="Parameter">The parameter, or null.</param>
public readonly record struct StageLayer(string Name, torch.nn.Module? Module, TorchSharp.Modules.Parameter? Parameter)
{
    /// <summary>A layer that is a module.</summary>
    public StageLayer(string name, torch.nn.Module module)
        : this(name, module, null)
    {
    }

    /// <summary>A layer that is a bare parameter.</summary>
    public StageLayer(string name, TorchSharp.Modules.Parameter parameter)
        : this(name, null, parameter)
    {
    }
}
