using System;

namespace Dho2;

/// <summary>
/// Marks a TorchSharp module class as a model to be partitioned: the generator slices its <c>forward</c> method into
/// stages and emits the pipeline that trains it. The class must be <c>partial</c> and derive from <c>Module&lt;...&gt;</c>.
/// </summary>
[AttributeUsage(AttributeTargets.Class, Inherited = false)]
public sealed class PipelineAttribute : Attribute
{
    /// <summary>Micro-batches per training step; at least 1.</summary>
    public int MicroBatches { get; set; } = Defaults.MicroBatches;

    /// <summary>The order of forwards and backwards.</summary>
    public Schedule Schedule { get; set; } = Defaults.Schedule;

    /// <summary>
    /// Stages that one rank holds: at least 2 and a divisor of the number of stages under <see cref="Schedule.Interleaved"/>, 1
    /// under the other schedules; 0 leaves it at 2 and 1.
    /// </summary>
    public int StagesPerRank { get; set; }

    /// <summary>
    /// Stages that the planner makes where layers leave theirs to it by <c>[Stage]</c>; 0 leaves the number to it too: that of
    /// the numbered layers, or else the fewest whose memory fits the device, or two where no device is stated.
    /// </summary>
    public int Stages { get; set; }

    /// <summary>
    /// The element type that the model computes in: float32, float64, or bfloat16, beside which parameters, gradients and all
    /// state of the update are kept in float32.
    /// </summary>
    public DType DType { get; set; } = DType.Float32;

    /// <summary>The first-order optimizer outside the curvature subspace.</summary>
    public BaseKind Base { get; set; } = Defaults.Base;

    /// <summary>
    /// Whether each replica keeps only its share of a stage's base optimizer state and curvature, which it updates for all of
    /// them; not where ADMM ties the replicas, which then each need the whole.
    /// </summary>
    public bool ShardOptimizer { get; set; }

    /// <summary>Replicas of the whole pipeline; at least 1.</summary>
    public int Replicas { get; set; } = Defaults.Replicas;
}

/// <summary>
/// Describes one input of the model, without the batch dimension, in the order of the parameters of <c>forward</c>.
/// A dimension is a positive integer or a symbol such as <c>"T"</c>.
/// </summary>
[AttributeUsage(AttributeTargets.Class, AllowMultiple = true, Inherited = false)]
public sealed class InputAttribute : Attribute
{
    /// <summary>Describes one input.</summary>
    /// <param name="dimensions">The dimensions after the batch: integers, or strings that name symbols.</param>
    public InputAttribute(params object[] dimensions) => Dimensions = dimensions;

    /// <summary>The dimensions after the batch.</summary>
    public object[] Dimensions { get; }

    /// <summary>Samples per training step and replica, over all micro-batches; 0 where another input states it.</summary>
    public int Batch { get; set; }

    /// <summary>The element type.</summary>
    public DType DType { get; set; } = DType.Float32;

    /// <summary>The name of the parameter of <c>forward</c>; by default they are taken in order.</summary>
    public string? Name { get; set; }
}

/// <summary>Describes one target that the loss takes after the model's output, without the batch dimension.</summary>
[AttributeUsage(AttributeTargets.Class, AllowMultiple = true, Inherited = false)]
public sealed class TargetAttribute : Attribute
{
    /// <summary>Describes one target.</summary>
    /// <param name="dimensions">The dimensions after the batch: integers, or strings that name symbols; none for a class label.</param>
    public TargetAttribute(params object[] dimensions) => Dimensions = dimensions;

    /// <summary>The dimensions after the batch.</summary>
    public object[] Dimensions { get; }

    /// <summary>The element type.</summary>
    public DType DType { get; set; } = DType.Int64;

    /// <summary>The name of the parameter of <c>Loss</c>; by default they are taken in order.</summary>
    public string? Name { get; set; }
}

/// <summary>The device that holds a stage: on the pipeline class for all stages, on a stage's module class for that stage.</summary>
[AttributeUsage(AttributeTargets.Class, Inherited = false)]
public sealed class DeviceAttribute : Attribute
{
    /// <summary>Memory of the device: a number and one of <c>B</c>, <c>KiB</c>, <c>MiB</c>, <c>GiB</c>, <c>TiB</c>, such as <c>"24 GiB"</c>.</summary>
    public string? Memory { get; set; }

    /// <summary>
    /// The device by its name, such as <c>"A100-40GB"</c> (docs/memory.md has the table): states the memory, unless
    /// <see cref="Memory"/> does, and what times are priced by. The property <c>Dho2Device</c> of a project names one for all its pipelines.
    /// </summary>
    public string? Name { get; set; }
}

/// <summary>
/// The stage of a layer (on a field, property or parameter) or of all layers of a module class. Without a number the planner
/// chooses. On a list of modules it may be repeated, each with the first element it holds for:
/// <c>[Stage(0), Stage(1, From = 9)]</c>.
/// </summary>
[AttributeUsage(AttributeTargets.Class | AttributeTargets.Field | AttributeTargets.Property, AllowMultiple = true, Inherited = false)]
public sealed class StageAttribute : Attribute
{
    /// <summary>Lets the planner choose the stage.</summary>
    public StageAttribute()
    {
    }

    /// <summary>Puts the layer on a stage.</summary>
    /// <param name="index">The stage, counted from 0 without gaps.</param>
    public StageAttribute(int index) => Index = index;

    /// <summary>The stage, counted from 0; null where the planner chooses.</summary>
    public int? Index { get; }

    /// <summary>On a list of modules: the first element that the stage holds for, counted from 0.</summary>
    public int From { get; set; }
}

/// <summary>
/// Ties a layer's parameters to those of an earlier one (Press and Wolf 2017): both are one, which is stored, updated and
/// saved once, by the stage of the other. Shapes must be equal.
/// </summary>
[AttributeUsage(AttributeTargets.Field | AttributeTargets.Property, Inherited = false)]
public sealed class TiedToAttribute : Attribute
{
    /// <summary>Ties the layer's parameters.</summary>
    /// <param name="layer">The member that holds the other layer, by <c>nameof</c>; or one of its parameters, such as <c>"tokens.weight"</c>.</param>
    public TiedToAttribute(string layer) => Layer = layer;

    /// <summary>The other layer or parameter.</summary>
    public string Layer { get; }
}

/// <summary>
/// Describes a static method that computes tensors from tensors, which planning cannot look into: the shape of its result,
/// and what it costs. What is not stated is unknown, never guessed.
/// </summary>
/// <remarks>
/// The signature gives the dimensions of the tensor parameters in order, separated by semicolons, and of the result:
/// <c>[Operation("N, C, H, W -> N, C, H/2, W/2")]</c>. In the parameters a dimension is a symbol, a number, or <c>_</c> for
/// any; <c>...</c> in front stands for any leading dimensions. In the result, and in <see cref="Work"/> and
/// <see cref="SavedBytes"/>, symbols and the method's integer parameters may be added, subtracted, multiplied and divided.
/// </remarks>
[AttributeUsage(AttributeTargets.Method, Inherited = false)]
public sealed class OperationAttribute : Attribute
{
    /// <summary>Describes the method.</summary>
    /// <param name="signature">The shapes, such as <c>"..., K; K, M -> ..., M"</c>.</param>
    public OperationAttribute(string signature) => Signature = signature;

    /// <summary>The shapes of the tensor parameters and of the result.</summary>
    public string Signature { get; }

    /// <summary>Floating-point operations of the forward, such as <c>"2*N*C*H*W"</c>.</summary>
    public string? Work { get; set; }

    /// <summary>Bytes that automatic differentiation keeps for the backward, such as <c>"4*N*C*H*W"</c>.</summary>
    public string? SavedBytes { get; set; }

    /// <summary>Whether the gradient can be differentiated again; where not stated, that is unknown.</summary>
    public bool HasSecondDerivative { get; set; }
}

/// <summary>
/// The number of largest Hessian eigenpairs kept for a stage; a stage's rank is the largest among its layers, 0 means none.
/// Its presence makes the curvature block-diagonal by stage unless <see cref="CurvatureAttribute.Scope"/> says otherwise.
/// </summary>
[AttributeUsage(AttributeTargets.Class | AttributeTargets.Field | AttributeTargets.Property, Inherited = false)]
public sealed class CurvatureRankAttribute : Attribute
{
    /// <summary>Sets the rank.</summary>
    /// <param name="rank">Eigenpairs to keep; at least 0.</param>
    public CurvatureRankAttribute(int rank) => Rank = rank;

    /// <summary>Eigenpairs to keep.</summary>
    public int Rank { get; }
}

/// <summary>
/// Gives up a stage's saved activations (activation checkpointing: Chen et al. 2016): in training its forward keeps only the
/// inputs of each micro-batch, and the backward runs the forward once more. On a layer or a module class it holds for the
/// stage of that layer, on the pipeline class for all stages, or for those whose numbers it gives: <c>[Recompute(0, 1)]</c>.
/// </summary>
[AttributeUsage(AttributeTargets.Class | AttributeTargets.Field | AttributeTargets.Property, Inherited = false)]
public sealed class RecomputeAttribute : Attribute
{
    /// <summary>Gives up saved activations.</summary>
    /// <param name="stages">On the pipeline class, the stages; none for all. On a layer and a module class there are none.</param>
    public RecomputeAttribute(params int[] stages) => Stages = stages;

    /// <summary>The stages, where the pipeline class names some.</summary>
    public int[] Stages { get; }
}

/// <summary>The curvature that the hybrid optimizer keeps (FOSI, arXiv 2302.08484): rank, schedule and step.</summary>
[AttributeUsage(AttributeTargets.Class, Inherited = false)]
public sealed class CurvatureAttribute : Attribute
{
    /// <summary>Largest eigenpairs kept (k); 0 turns curvature off.</summary>
    public int Rank { get; set; } = Defaults.CurvatureRank;

    /// <summary>Smallest eigenpairs kept (l).</summary>
    public int Smallest { get; set; } = Defaults.CurvatureSmallest;

    /// <summary>Training steps between two estimates; at least 1.</summary>
    public int Every { get; set; } = Defaults.CurvatureEvery;

    /// <summary>The step before which the first estimate is made; -1 means <see cref="Every"/>.</summary>
    public int Warmup { get; set; } = -1;

    /// <summary>Samples in the curvature batch; 0 means the training batch.</summary>
    public int Batch { get; set; }

    /// <summary>
    /// Products of an estimate at most (m): at least Rank + Smallest; 0 means 4 (Rank + Smallest), or 2 ln n if that is more.
    /// </summary>
    public int Order { get; set; }

    /// <summary>The rate of the Newton part (alpha).</summary>
    public double Alpha { get; set; } = Defaults.Alpha;

    /// <summary>The largest factor by which the base rate is raised (c_max); 1 never raises it.</summary>
    public double MaxScale { get; set; } = Defaults.MaxScale;

    /// <summary>One subspace for the model, or one per stage.</summary>
    public CurvatureScope Scope { get; set; } = CurvatureScope.Global;

    /// <summary>When estimates are made, against training.</summary>
    public CurvatureMode Mode { get; set; } = CurvatureMode.Blocking;

    /// <summary>
    /// With <see cref="CurvatureMode.Dedicated"/>, the training steps between a snapshot and the step before which what was
    /// estimated there takes force; 0 means what the plan expects an estimate to take.
    /// </summary>
    public int Delay { get; set; }
}

/// <summary>Ties replicas together by ADMM instead of reducing gradients in every step (consensus: Boyd et al. 2011, section 7.1).</summary>
[AttributeUsage(AttributeTargets.Class, Inherited = false)]
public sealed class AdmmAttribute : Attribute
{
    /// <summary>Local steps between two consensus rounds (H); at least 1.</summary>
    public int Period { get; set; } = Defaults.AdmmPeriod;

    /// <summary>The weight of the proximal term; above 0.</summary>
    public double Sigma { get; set; } = Defaults.AdmmSigma;

    /// <summary>Over-relaxation (a); 1 is none, at most 1.3 is advised.</summary>
    public double Relaxation { get; set; } = Defaults.AdmmRelaxation;

    /// <summary>The update rule.</summary>
    public AdmmRule Rule { get; set; } = AdmmRule.Consensus;

    /// <summary>
    /// Whether each replica estimates the curvature of its own samples alone; by default one estimate is shared by all, at
    /// the cost of one reduction over them per product.
    /// </summary>
    public bool LocalCurvature { get; set; }
}

/// <summary>
/// Marks a module class whose description its assembly shall carry, so that models in other assemblies can look into it: its
/// shapes, parameters and costs are then known there as if its source were at hand. A class with <see cref="StageAttribute"/>
/// or <see cref="CurvatureRankAttribute"/> needs no further mark.
/// </summary>
[AttributeUsage(AttributeTargets.Class, Inherited = false)]
public sealed class PipelineModuleAttribute : Attribute
{
}

/// <summary>The description of a module class, as its assembly carries it; written by the generator.</summary>
[AttributeUsage(AttributeTargets.Assembly, AllowMultiple = true)]
[System.ComponentModel.EditorBrowsable(System.ComponentModel.EditorBrowsableState.Never)]
public sealed class ModuleDescriptionAttribute : Attribute
{
    /// <summary>Describes a class.</summary>
    /// <param name="type">Its full metadata name.</param>
    /// <param name="text">The description, as <c>Dho2.Planning.ModelDescriptionText</c> writes it.</param>
    public ModuleDescriptionAttribute(string type, string text)
    {
        Type = type;
        Text = text;
    }

    /// <summary>The class's full metadata name.</summary>
    public string Type { get; }

    /// <summary>The description.</summary>
    public string Text { get; }
}
