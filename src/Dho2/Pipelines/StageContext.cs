using System;
using System.Collections.Generic;
using System.Linq;
using TorchSharp;
using TorchSharp.Modules;

namespace Dho2.Pipelines;

/// <summary>What a stage needs while it is built: seeds for its layers, element type and device; and, while it runs, the micro-batch it is at.</summary>
public sealed class StageContext
{
    // The default random generator belongs to the process: two ranks that build layers or draw
    // masks at once would disturb each other.
    internal static readonly object DefaultGeneratorLock = new();

    // By parameter, what it was before it was rounded, until the flat parameters take it over.
    private readonly Dictionary<(IntPtr, long), torch.Tensor> unrounded = [];

    /// <summary>Creates a context.</summary>
    /// <param name="seed">The run's seed; a layer's own follows from it and the layer's name.</param>
    public StageContext(long seed) => Seed = seed;

    /// <summary>The run's seed.</summary>
    public long Seed { get; }

    /// <summary>The element type that the stage computes in: of parameters, activations and floating-point buffers.</summary>
    public torch.ScalarType DType { get; init; } = torch.ScalarType.Float32;

    /// <summary>
    /// The element type of the parameters that are trained, where it is a finer one than <see cref="DType"/> (mixed
    /// precision): layers are drawn in it, and the stage's parameters are rounded from it. Null for <see cref="DType"/>.
    /// </summary>
    /// <remarks>
    /// Batch normalisations stay in this type as a whole, their running statistics included: those are sums of small
    /// contributions. They take and give activations of <see cref="DType"/> all the same.
    /// </remarks>
    public torch.ScalarType? MasterType { get; init; }

    /// <summary>Whether parameters are trained in a finer type than the stage computes in.</summary>
    internal bool IsMixed => MasterType is { } master && master != DType;

    /// <summary>The device.</summary>
    public torch.Device Device { get; init; } = torch.CPU;

    /// <summary>The micro-batch that the stage is computing; random layers follow it.</summary>
    public MicroBatchPosition Position { get; } = new();

    /// <summary>
    /// Builds a layer with random numbers that depend on the run's seed and the layer's name only, so that every
    /// partition and the unsplit model start from the same weights.
    /// </summary>
    /// <typeparam name="T">The layer's declared type: a module or a <c>Parameter</c>.</typeparam>
    /// <param name="name">The layer's name.</param>
    /// <param name="create">The layer's initialiser.</param>
    public T Create<T>(string name, Func<T> create)
    {
        lock (DefaultGeneratorLock)
        {
            torch.random.manual_seed(SeedOf(Seed, name));
            T layer = create();
            switch (layer)
            {
                case torch.nn.Module module when IsMixed:
                    Round(module);
                    break;
                case torch.nn.Module module:
                    module.to(Device, DType);
                    break;
                case Parameter parameter when parameter.dtype != DType || parameter.device_type != Device.type:
                    using (parameter)
                    using (torch.no_grad())
                    {
                        var converted = new Parameter(parameter.to(DType, Device), parameter.requires_grad);
                        Keep(converted, IsMixed ? parameter.detach().to(MasterType!.Value, Device) : null);
                        return (T)(object)converted;
                    }

                case Parameter parameter:
                    Keep(parameter, null);
                    break;
            }

            return layer;
        }
    }

    /// <summary>What a parameter was before it was rounded to <see cref="DType"/>, which is the caller's from now on; null where it was not.</summary>
    internal torch.Tensor? TakeUnrounded(Parameter parameter) => unrounded.Remove(TensorIdentity.Of(parameter), out torch.Tensor? value) ? value : null;

    /// <summary>Lets go of what nobody took over: that of frozen parameters and of mirrors.</summary>
    internal void ReleaseUnrounded()
    {
        foreach (torch.Tensor value in unrounded.Values)
        {
            value.Dispose();
        }

        unrounded.Clear();
    }

    private void Round(torch.nn.Module module)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        using IDisposable noGrad = torch.no_grad();
        module.to(Device, MasterType!.Value);
        Dictionary<string, torch.Tensor> exact = module.named_parameters().ToDictionary(p => p.name, p => p.parameter.detach().clone());
        Dictionary<string, torch.Tensor> buffers = module.named_buffers().ToDictionary(b => b.name, b => b.buffer.clone());
        module.to(DType);
        foreach (torch.nn.Module part in module.modules().Prepend(module).Where(IsBatchNorm))
        {
            part.to(MasterType.Value);
        }

        foreach ((string name, Parameter parameter) in module.named_parameters())
        {
            if (parameter.dtype == DType)
            {
                Keep(parameter, exact[name].DetachFromDisposeScope());
            }
            else
            {
                parameter.copy_(exact[name]);
            }
        }

        foreach ((string name, torch.Tensor buffer) in module.named_buffers().Where(b => b.buffer.dtype != DType))
        {
            buffer.copy_(buffers[name]);
        }
    }

    private void Keep(Parameter parameter, torch.Tensor? exact)
    {
        // Memory of a parameter that is gone may be another's by now.
        (IntPtr, long) identity = TensorIdentity.Of(parameter);
        if (unrounded.Remove(identity, out torch.Tensor? old))
        {
            old.Dispose();
        }

        if (exact is not null)
        {
            unrounded[identity] = exact.DetachFromDisposeScope();
        }
    }

    private static bool IsBatchNorm(torch.nn.Module module) => module is BatchNorm1d or BatchNorm2d or BatchNorm3d;

    /// <summary>A seed from the run's seed and a name: FNV-1a, then a finalising mix, so that near names give unrelated seeds.</summary>
    public static long SeedOf(long seed, string name)
    {
        ulong hash = 14695981039346656037UL ^ unchecked((ulong)seed * 0x9E3779B97F4A7C15UL);
        foreach (char c in name)
        {
            hash = unchecked((hash ^ c) * 1099511628211UL);
        }

        hash = unchecked((hash ^ (hash >> 30)) * 0xBF58476D1CE4E5B9UL);
        hash = unchecked((hash ^ (hash >> 27)) * 0x94D049BB133111EBUL);
        return (long)((hash ^ (hash >> 31)) & long.MaxValue);
    }
}
