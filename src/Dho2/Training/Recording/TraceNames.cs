using System;
using System.Collections.Generic;
using Dho2.Planning;
using Dho2.Records;

namespace Dho2;

/// <summary>What ranks note about themselves, and the kind of work that it is.</summary>
internal static class TraceNames
{
    public const string ReadingData = "reading data";
    public const string Estimate = "curvature estimate";
    public const string Trial = "trial of the base alone";
    public const string Snapshot = "receiving a snapshot";
    public const string Result = "sending eigenpairs";
    public const string AwaitingEstimate = "waiting for an estimate";
    public const string GradientReduction = "all-reduce of gradients";
    public const string NormAndLoss = "norm and loss";
    public const string OptimizerStep = "optimizer step";
    public const string Gathering = "all-gather of parameters";
    public const string ConsensusRound = "consensus round";

    // As PipelineHessian ends the names of its sweeps.
    private const string OfTheCurvature = " of the curvature";

    private static readonly Dictionary<string, string> Categories = new(StringComparer.Ordinal)
    {
        [nameof(InstructionKind.Forward)] = TraceCategory.Forward,
        [nameof(InstructionKind.Backward)] = TraceCategory.Backward,
        [nameof(InstructionKind.BackwardInput)] = TraceCategory.Backward,
        [nameof(InstructionKind.BackwardWeight)] = TraceCategory.BackwardWeight,
        [nameof(InstructionKind.SendActivation)] = TraceCategory.Send,
        [nameof(InstructionKind.SendGradient)] = TraceCategory.Send,
        [nameof(InstructionKind.ReceiveActivation)] = TraceCategory.Receive,
        [nameof(InstructionKind.ReceiveGradient)] = TraceCategory.Receive,
        [Snapshot] = TraceCategory.Receive,
        [AwaitingEstimate] = TraceCategory.Receive,
        [Result] = TraceCategory.Send,
        [ReadingData] = TraceCategory.Data,
        [Estimate] = TraceCategory.Curvature,
        [Trial] = TraceCategory.Curvature,
        [GradientReduction] = TraceCategory.Reduce,
        [NormAndLoss] = TraceCategory.Reduce,
        [Gathering] = TraceCategory.Reduce,
        [ConsensusRound] = TraceCategory.Reduce,
        [OptimizerStep] = TraceCategory.Update,
    };

    /// <summary>The kind of work that a note is about.</summary>
    public static string CategoryOf(string doing) =>
        Categories.TryGetValue(doing, out string? known) ? known
        : doing.EndsWith(OfTheCurvature, StringComparison.Ordinal) ? TraceCategory.Curvature
        : TraceCategory.Other;
}
