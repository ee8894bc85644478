using System;
using TorchSharp;

namespace Dho2.Pipelines;

/// <summary>What a stage needs while it is built: seeds for its layers, element type and device; and, while it runs, the micro-batch it is at.</summary>
public sealed class StageContext
{
    // The default random generator belongs to the process: two ranks that build layers or draw
    // masks at once would disturb each other.
    internal static readonly object DefaultGeneratorLock = new();

    /// <summary>Creates a context.</summary>
    /// <param name="seed">The run's seed; a layer's own follows from it and the layer's name.</param>
    public StageContext(long seed) => Seed = seed;

    /// <summary>The run's seed.</summary>
    public long Seed { get; }

    /// <summary>The element type of parameters and floating-point buffers.</summary>
    public torch.ScalarType DType { get; init; } = torch.ScalarType.Float32;

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
                case torch.nn.Module module:
                    module.to(Device, DType);
                    break;
                case TorchSharp.Modules.Parameter parameter when parameter.dtype != DType || parameter.device_type != Device.type:
                    using (parameter)
                    using (torch.no_grad())
                    {
                        return (T)(object)new TorchSharp.Modules.Parameter(parameter.to(DType, Device), parameter.requires_grad);
                    }
            }

            return layer;
        }
    }

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
