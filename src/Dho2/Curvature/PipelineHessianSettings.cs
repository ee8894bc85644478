using System.Collections.Generic;

namespace Dho2.Curvature;

/// <summary>Which matrix describes the curvature of the loss.</summary>
public enum CurvatureMatrix
{
    /// <summary>The Hessian itself, which may be indefinite.</summary>
    Hessian,

    /// <summary>
    /// The generalised Gauss-Newton matrix (Schraudolph 2002): the loss's own Hessian between two linearisations of the
    /// network; positive semidefinite where the loss is convex in the network's results.
    /// </summary>
    GaussNewton,
}

/// <summary>How <see cref="PipelineHessian"/> computes its products.</summary>
public sealed record PipelineHessianSettings
{
    /// <summary>The matrix.</summary>
    public CurvatureMatrix Matrix { get; init; } = CurvatureMatrix.Hessian;

    /// <summary>
    /// Whether the graphs of all micro-batches are kept over all products of an estimate; if not, they are built anew for
    /// every product, for as many micro-batches at a time as there are stages, which takes less memory and about half as
    /// long again. Null keeps them, or in training leaves it to the plan: they are kept where they fit the devices.
    /// </summary>
    public bool? RetainGraphs { get; init; }

    /// <summary>
    /// Whether a stage before the last differentiates, on the way down, the graph of the tangents that it computed on the
    /// way up, instead of computing them again. That takes a fifth off a product, and is exact only where automatic
    /// differentiation gets all third derivatives right: with libtorch not through batch and layer normalisation. Null
    /// computes them again, or in training leaves it to the plan, which knows what each stage contains.
    /// </summary>
    public bool? ReuseTangents { get; init; }

    /// <summary>The same for each stage of the model, before <see cref="ReuseTangents"/>; null where all are alike.</summary>
    internal IReadOnlyList<bool>? ReusesTangentsOf { get; init; }

    /// <summary>Whether layers behave as in training: batch statistics, dropout.</summary>
    public bool TrainingMode { get; init; } = true;
}
