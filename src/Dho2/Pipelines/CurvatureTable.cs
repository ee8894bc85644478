using System.Collections.Generic;

namespace Dho2.Pipelines;

/// <summary>The curvature that a pipeline class's attributes ask for, with what its plan says it costs.</summary>
/// <param name="Scope">One subspace for the model, or one for each stage.</param>
/// <param name="Mode">When estimates are made, against training.</param>
/// <param name="Warmup">The step, counted from 1, before which the first estimate is due.</param>
/// <param name="Every">Steps from one to the next.</param>
/// <param name="Batch">Samples of the curvature batch; 0 for the step's own.</param>
/// <param name="Delay">With dedicated ranks, steps from a snapshot to the step before which its subspace takes force; 0 otherwise.</param>
/// <param name="RetainsGraphs">Whether the graphs of the whole curvature batch are kept over an estimate.</param>
/// <param name="Stages">One row for each stage.</param>
public sealed record CurvatureTable(
    CurvatureScope Scope, CurvatureMode Mode, int Warmup, int Every, int Batch, int Delay, bool RetainsGraphs, IReadOnlyList<CurvatureTableRow> Stages);

/// <summary>One stage's row of a <see cref="CurvatureTable"/>; what cannot be known before a run is null.</summary>
/// <param name="Rank">Largest eigenpairs kept.</param>
/// <param name="Smallest">Smallest eigenpairs kept.</param>
/// <param name="Order">The most products of an estimate.</param>
/// <param name="ProductOperations">Floating-point operations of one product, over all stages that take part.</param>
/// <param name="KeptBytes">Bytes of eigenvectors and what goes with them, all the time.</param>
/// <param name="EstimateBytes">Bytes that an estimate adds while it is made.</param>
/// <param name="ReusesTangents">Whether the downward sweep of a product differentiates what the upward sweep computed.</param>
public sealed record CurvatureTableRow(
    int Rank, int Smallest, int? Order, long? ProductOperations, long? KeptBytes, long? EstimateBytes, bool ReusesTangents);
