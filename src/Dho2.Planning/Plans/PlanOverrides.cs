namespace Dho2.Planning;

/// <summary>Numbers given at run time in place of the attributes'; null leaves the attribute's.</summary>
public sealed record PlanOverrides
{
    /// <summary>Samples per step and replica.</summary>
    public int? Batch { get; init; }

    /// <summary>Micro-batches per step.</summary>
    public int? MicroBatches { get; init; }

    /// <summary>The schedule.</summary>
    public Schedule? Schedule { get; init; }

    /// <summary>Stages that one rank holds; 0 leaves it to the schedule.</summary>
    public int? StagesPerRank { get; init; }

    /// <summary>The base optimizer.</summary>
    public BaseKind? Base { get; init; }

    /// <summary>Replicas of the pipeline.</summary>
    public int? Replicas { get; init; }

    /// <summary>Whether base optimizer state and curvature are shared out over the replicas of a stage.</summary>
    public bool? ShardOptimizer { get; init; }

    /// <summary>Bytes of the device that holds a stage.</summary>
    public long? DeviceMemory { get; init; }

    /// <summary>The curvature; ranks of 0 and 0 turn it off.</summary>
    public CurvatureOptions? Curvature { get; init; }

    /// <summary>ADMM.</summary>
    public AdmmOptions? Admm { get; init; }

    /// <summary>Whether ADMM is turned off.</summary>
    public bool WithoutAdmm { get; init; }

    /// <summary>The element type that the model computes in; beside bfloat16, what is trained is float32.</summary>
    public DType? DType { get; init; }

    /// <summary>The stages that recompute their activations, and no others whatever the attributes say.</summary>
    public RecomputeOptions? Recompute { get; init; }

    /// <summary>The options with these numbers in place.</summary>
    public ModelOptions Apply(ModelOptions options) =>
        options with
        {
            Batch = Batch ?? options.Batch,
            MicroBatches = MicroBatches ?? options.MicroBatches,
            Schedule = Schedule ?? options.Schedule,
            StagesPerRank = StagesPerRank ?? options.StagesPerRank,
            Base = Base ?? options.Base,
            Replicas = Replicas ?? options.Replicas,
            ShardsOptimizer = ShardOptimizer ?? options.ShardsOptimizer,
            DeviceMemory = DeviceMemory ?? options.DeviceMemory,
            Curvature = Curvature ?? options.Curvature,
            Admm = WithoutAdmm ? null : Admm ?? options.Admm,
            DType = DType ?? options.DType,
            Recompute = Recompute is { } stages ? stages with { OverridesLayers = true } : options.Recompute,
        };
}
