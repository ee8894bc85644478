using System;
using Dho2.Planning;

namespace Dho2.Pipelines;

/// <summary>An instruction of a stage failed; says where and when, and carries what happened.</summary>
public sealed class PipelineException : Exception
{
    /// <summary>Creates the exception.</summary>
    /// <param name="rank">The rank in the world.</param>
    /// <param name="step">The step, counted from 0.</param>
    /// <param name="instruction">The instruction, with its stage and micro-batch.</param>
    /// <param name="inner">What happened.</param>
    public PipelineException(int rank, long step, Instruction instruction, Exception inner)
        : base($"Rank {rank}, stage {instruction.Stage}, step {step}, micro-batch {instruction.MicroBatch}, {instruction.Kind}: {inner.Message}", inner)
    {
        Rank = rank;
        Step = step;
        Instruction = instruction;
    }

    /// <summary>The rank in the world.</summary>
    public int Rank { get; }

    /// <summary>The step, counted from 0.</summary>
    public long Step { get; }

    /// <summary>The instruction that failed.</summary>
    public Instruction Instruction { get; }
}
