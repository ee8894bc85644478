using System;
using System.Collections.Generic;
using System.Threading;
using TorchSharp;
using TorchSharp.Modules;
using Module = TorchSharp.torch.nn.Module<TorchSharp.torch.Tensor, TorchSharp.torch.Tensor>;

namespace Dho2.Pipelines;

/// <summary>
/// Gives TorchSharp's own dropout layers, which draw from the process's default generator, the masks of their name, step
/// and micro-batch: in an unsplit model, so that it can be compared with its partitions, and inside composite layers of a
/// stage. Works where the layer is invoked by <c>call</c>, which <c>forward</c> of TorchSharp's containers does; a direct
/// call of <c>forward</c> bypasses all hooks.
/// </summary>
public sealed class DropoutSeeding : IDisposable
{
    private readonly List<Action> removals = [];
    private readonly HashSet<torch.nn.Module> attached = new(ReferenceEqualityComparer.Instance);

    /// <summary>Attaches to all dropout layers of a module, itself included.</summary>
    /// <param name="module">The module.</param>
    /// <param name="prefix">Its name in the unsplit model; empty for the model itself.</param>
    /// <param name="seed">The run's seed.</param>
    /// <param name="position">The micro-batch being computed.</param>
    public DropoutSeeding(torch.nn.Module module, string prefix, long seed, MicroBatchPosition position)
    {
        Attach(module, prefix, seed, position);
        foreach ((string name, torch.nn.Module child) in module.named_modules())
        {
            Attach(child, prefix.Length == 0 ? name : $"{prefix}.{name}", seed, position);
        }
    }

    /// <summary>Detaches from all layers.</summary>
    public void Dispose()
    {
        removals.ForEach(remove => remove());
        removals.Clear();
        attached.Clear();
    }

    /// <summary>Lets other ranks draw again after a layer threw on this thread between its two hooks.</summary>
    internal static void ReleaseAfterFailure()
    {
        while (Monitor.IsEntered(StageContext.DefaultGeneratorLock))
        {
            Monitor.Exit(StageContext.DefaultGeneratorLock);
        }
    }

    private void Attach(torch.nn.Module module, string name, long seed, MicroBatchPosition position)
    {
        if (module is not (Dropout or Dropout1d or Dropout2d or Dropout3d or AlphaDropout or FeatureAlphaDropout)
            || module is not Module layer
            || !attached.Add(layer))
        {
            return;
        }

        // From seeding the default generator to drawing from it, no other rank may use it.
        var seeds = new MaskSeeds(seed, name, position);
        Module.HookRemover before = layer.register_forward_pre_hook((_, _) =>
        {
            Monitor.Enter(StageContext.DefaultGeneratorLock);
            if (layer.training)
            {
                torch.random.manual_seed(seeds.Next());
            }

            return null!;
        });
        Module.HookRemover after = layer.register_forward_hook((_, _, _) =>
        {
            Monitor.Exit(StageContext.DefaultGeneratorLock);
            return null!;
        });
        removals.Add(before.remove);
        removals.Add(after.remove);
    }
}
