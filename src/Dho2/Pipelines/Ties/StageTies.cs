using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Communication;
using Dho2.Numerics;
using TorchSharp;
using TorchSharp.Modules;

namespace Dho2.Pipelines;

/// <summary>A stage's tied parameters in training: values follow the owner before a step, gradients go there after it.</summary>
internal sealed class StageTies : IDisposable
{
    private readonly FlatParameters flat;
    private readonly TieExchange exchange;
    private readonly torch.Tensor[] gradients;
    private readonly torch.Tensor[] rounded;

    /// <summary>Creates a stage's part in the ties.</summary>
    /// <param name="stage">The stage.</param>
    /// <param name="flat">Its flat parameters, made without its mirrors.</param>
    /// <param name="ties">All ties of the model.</param>
    /// <param name="pipeline">The group of this replica's stages, ranked by stage.</param>
    /// <exception cref="ArgumentException">The stage's ends are not those of the ties.</exception>
    public StageTies(IPipelineStage stage, FlatParameters flat, IReadOnlyList<TiedParameter> ties, ICommunicator pipeline)
    {
        this.flat = flat;
        exchange = new TieExchange(stage, flat, ties, pipeline);
        gradients = [.. exchange.Mirrors.Select(mirror => torch.zeros_like(mirror, flat.Values.dtype).DetachFromDisposeScope())];

        // Where the stage computes in a coarser type, backwards add to gradients of that type first.
        rounded = flat.ComputeValues.dtype == flat.Values.dtype ? [] : [.. exchange.Mirrors.Select(mirror => torch.zeros_like(mirror).DetachFromDisposeScope())];
        foreach ((Parameter mirror, torch.Tensor gradient) in exchange.Mirrors.Zip(rounded.Length > 0 ? rounded : gradients))
        {
            mirror.grad = gradient;
        }
    }

    /// <summary>Brings mirrors up to the owners' values, whoever changed those, and clears the mirrors' gradients.</summary>
    public void BeginStep()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        exchange.Spread(flat.ComputeValues, exchange.Mirrors);
        Array.ForEach(gradients, gradient => gradient.zero_());
    }

    /// <summary>Takes a micro-batch's gradients of the mirrors over into the type that gradients add up in.</summary>
    public void EndMicroBatch()
    {
        using IDisposable noGrad = torch.no_grad();
        for (int i = 0; i < rounded.Length; i++)
        {
            gradients[i].Increase(rounded[i]);
            rounded[i].zero_();
        }
    }

    /// <summary>Adds the mirrors' gradients to the owners'.</summary>
    public void EndStep() => exchange.Collect(gradients, flat.Gradients);

    public void Dispose()
    {
        Array.ForEach(gradients, gradient => gradient.Dispose());
        Array.ForEach(rounded, gradient => gradient.Dispose());
    }
}
