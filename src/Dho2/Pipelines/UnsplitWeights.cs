using System;
using System.Collections.Generic;
using System.Linq;
using TorchSharp;

namespace Dho2.Pipelines;

/// <summary>Gives the unsplit model the weights that the stages start from.</summary>
public static class UnsplitWeights
{
    /// <summary>Builds one stage after the other and copies its parameters and buffers, by name, into the unsplit model.</summary>
    /// <param name="stages">The factories of the stages.</param>
    /// <param name="model">The unsplit model; overwritten.</param>
    /// <param name="seed">The run's seed.</param>
    /// <exception cref="InvalidOperationException">A stage has a parameter or buffer that the model does not have.</exception>
    public static void Copy(IReadOnlyList<Func<StageContext, IPipelineStage>> stages, torch.nn.Module model, long seed)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        using IDisposable noGrad = torch.no_grad();
        Dictionary<string, torch.Tensor> targets = model.state_dict();
        foreach (Func<StageContext, IPipelineStage> create in stages)
        {
            using IPipelineStage stage = create(new StageContext(seed));
            foreach (StageLayer layer in stage.Layers)
            {
                foreach ((string name, torch.Tensor value) in ValuesOf(layer))
                {
                    if (!targets.TryGetValue(name, out torch.Tensor? target))
                    {
                        throw new InvalidOperationException($"Stage {stage.Index} has '{name}', but the unsplit model has not registered it.");
                    }

                    // A mirror has no value of its own; its owner's arrives under the owner's name.
                    if (!stage.Mirrors.Any(mirror => TensorIdentity.Of(mirror.Parameter) == TensorIdentity.Of(value)))
                    {
                        target.copy_(value);
                    }
                }
            }
        }
    }

    private static IEnumerable<(string Name, torch.Tensor Value)> ValuesOf(StageLayer layer)
    {
        if (layer.Parameter is { } parameter)
        {
            yield return (layer.Name, parameter);
        }

        foreach ((string name, torch.Tensor value) in layer.Module?.state_dict() ?? [])
        {
            yield return ($"{layer.Name}.{name}", value);
        }
    }
}
