using System;

namespace Dho2.Curvature;

/// <summary>A Hessian-vector product failed on a stage; says where, and carries what happened.</summary>
public sealed class CurvatureException : Exception
{
    /// <summary>Creates the exception.</summary>
    /// <param name="stage">The stage, counted from 0.</param>
    /// <param name="microBatch">The micro-batch, counted from 0.</param>
    /// <param name="sweep">What the stage was doing.</param>
    /// <param name="inner">What happened.</param>
    public CurvatureException(int stage, int microBatch, string sweep, Exception inner)
        : base($"Stage {stage}, micro-batch {microBatch} of the curvature batch, {sweep}: {inner.Message}", inner)
    {
        Stage = stage;
        MicroBatch = microBatch;
    }

    /// <summary>The stage.</summary>
    public int Stage { get; }

    /// <summary>The micro-batch.</summary>
    public int MicroBatch { get; }
}
