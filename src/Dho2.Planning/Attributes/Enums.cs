namespace Dho2;

/// <summary>The order in which a rank works on the micro-batches of its stages.</summary>
public enum Schedule
{
    /// <summary>All forwards, then all backwards (Huang et al. 2019): every micro-batch's activations are alive at once.</summary>
    GPipe,

    /// <summary>After a warm-up, one forward and one backward in turn (Narayanan et al. 2019): at most as many micro-batches in flight as stages follow.</summary>
    OneForwardOneBackward,

    /// <summary>
    /// 1F1B over several stages on each rank, every so manieth of the model (Narayanan et al. 2021, section 2.2): a bubble as many
    /// times smaller as there are stages on a rank, for that many times the messages.
    /// </summary>
    Interleaved,

    /// <summary>
    /// ZB-H1 (Qi et al. 2024, "Zero Bubble Pipeline Parallelism", section 2.3): 1F1B with the parameters' gradients computed
    /// apart from the inputs' and later, where ranks would wait.
    /// </summary>
    ZeroBubble,
}

/// <summary>The first-order optimizer that acts outside the curvature subspace.</summary>
public enum BaseKind
{
    /// <summary>Gradient descent.</summary>
    Sgd,

    /// <summary>Heavy-ball momentum (Polyak).</summary>
    HeavyBall,

    /// <summary>Nesterov momentum.</summary>
    Nesterov,

    /// <summary>Adam (Kingma and Ba 2015).</summary>
    Adam,
}

/// <summary>The element type of a tensor.</summary>
public enum DType
{
    /// <summary>32-bit floating point.</summary>
    Float32,

    /// <summary>64-bit floating point.</summary>
    Float64,

    /// <summary>bfloat16: 8 exponent bits, 7 fraction bits.</summary>
    BFloat16,

    /// <summary>IEEE half precision.</summary>
    Float16,

    /// <summary>64-bit integer.</summary>
    Int64,

    /// <summary>32-bit integer.</summary>
    Int32,

    /// <summary>Unsigned 8-bit integer.</summary>
    UInt8,

    /// <summary>Boolean, one byte an element.</summary>
    Bool,
}

/// <summary>Which part of the Hessian the kept eigenpairs describe.</summary>
public enum CurvatureScope
{
    /// <summary>The Hessian of the whole model: one subspace whose vectors are sharded over the stages.</summary>
    Global,

    /// <summary>Each stage's own diagonal block of the Hessian, with a rank of its own.</summary>
    Stage,
}

/// <summary>When eigenpairs are estimated, against training.</summary>
public enum CurvatureMode
{
    /// <summary>Between two training steps: training waits for the whole estimate.</summary>
    Blocking,

    /// <summary>One product after each training step, on a snapshot; the new subspace takes force once it is complete.</summary>
    Amortized,

    /// <summary>
    /// On ranks of their own, one for each of a pipeline's, beside training; the new subspace takes force a fixed number
    /// of steps after the snapshot.
    /// </summary>
    Dedicated,
}

/// <summary>How replicas are tied together by ADMM.</summary>
public enum AdmmRule
{
    /// <summary>Consensus ADMM (Boyd et al. 2011, section 7.1): replicas train locally and agree once per period.</summary>
    Consensus,

    /// <summary>The rule of the published DHO2 program, for comparison: an undamped extrapolation at each period's end.</summary>
    Dual,
}
