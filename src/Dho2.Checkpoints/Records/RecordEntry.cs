using System;
using System.Collections.Generic;
using System.Text.Json.Serialization;

namespace Dho2.Records;

/// <summary>A line of <c>rank-0.jsonl</c> and its like. What is the same on all ranks is in rank 0's file alone.</summary>
/// <param name="Step">The step that it belongs to, counted from 1 over the whole run; of a start, the steps done before it.</param>
/// <param name="Time">Seconds since the process's start line.</param>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(StartEntry), "start")]
[JsonDerivedType(typeof(StepEntry), "step")]
[JsonDerivedType(typeof(RoundEntry), "round")]
[JsonDerivedType(typeof(EstimateEntry), "estimate")]
[JsonDerivedType(typeof(TrialEntry), "trial")]
[JsonDerivedType(typeof(EpochEntry), "epoch")]
[JsonDerivedType(typeof(RankEntry), "rank")]
[JsonDerivedType(typeof(EndEntry), "end")]
public abstract record RecordEntry(long Step, double Time);

/// <summary>A process begins, or goes on from another step: what earlier ones wrote about later steps is void.</summary>
/// <param name="Step">Steps done before.</param>
/// <param name="Time">0.</param>
/// <param name="Started">When.</param>
/// <param name="Plan">The plan's hash.</param>
/// <param name="Resumed">The checkpoint that it goes on from; null for none.</param>
/// <param name="Process">The process's number.</param>
/// <param name="Host">Its machine.</param>
public sealed record StartEntry(long Step, double Time, DateTimeOffset Started, string Plan, string? Resumed, int Process, string Host) : RecordEntry(Step, Time);

/// <summary>A training step.</summary>
/// <param name="Step">The step.</param>
/// <param name="Time">Seconds.</param>
/// <param name="Epoch">The epoch, counted from 1; 0 outside of epochs.</param>
/// <param name="Loss">The mean loss over its samples.</param>
/// <param name="GradientNorm">The norm of the whole gradient, before clipping.</param>
/// <param name="LearningRate">The base optimizer's rate.</param>
/// <param name="Samples">Samples, over all replicas.</param>
public sealed record StepEntry(long Step, double Time, int Epoch, double Loss, double GradientNorm, double LearningRate, int Samples) : RecordEntry(Step, Time);

/// <summary>A round of agreement between replicas under ADMM, after a step.</summary>
/// <param name="Step">The step.</param>
/// <param name="Time">Seconds.</param>
/// <param name="PrimalResidual">How far the replicas were from the consensus.</param>
/// <param name="DualResidual">How far the consensus moved, times sigma and the root of the number of replicas.</param>
/// <param name="Sigma">The weight of the proximal term from the next step on.</param>
/// <param name="SigmaCeiling">The largest sigma at which local steps still settle; infinite where nothing is known.</param>
public sealed record RoundEntry(long Step, double Time, double PrimalResidual, double DualResidual, double Sigma, double SigmaCeiling) : RecordEntry(Step, Time);

/// <summary>A curvature estimate that took force before a step.</summary>
/// <param name="Step">The step.</param>
/// <param name="Time">Seconds.</param>
/// <param name="Stage">The stage whose diagonal block was estimated; null for the whole model's Hessian.</param>
/// <param name="Outcome">How it ended.</param>
/// <param name="Eigenvalues">The eigenvalues in force.</param>
/// <param name="ResidualBounds">A bound on the residual norm of each new pair; empty where the previous ones stay.</param>
/// <param name="Products">Hessian-vector products.</param>
/// <param name="Seconds">From its start to its result.</param>
public sealed record EstimateEntry(
    long Step,
    double Time,
    int? Stage,
    string Outcome,
    IReadOnlyList<double> Eigenvalues,
    IReadOnlyList<double> ResidualBounds,
    int Products,
    double Seconds) : RecordEntry(Step, Time);

/// <summary>A trial of curvature against the base optimizer alone.</summary>
/// <param name="Step">Its last step.</param>
/// <param name="Time">Seconds.</param>
/// <param name="Steps">The steps that were trained both ways.</param>
/// <param name="StepRatio">Steps of the base over steps with curvature to the same loss; infinite where the base diverged.</param>
/// <param name="CostRatio">The time of a step with curvature over that of a step of the base.</param>
/// <param name="Verdict">Whether curvature pays.</param>
/// <param name="Dropped">Whether training goes on without it.</param>
public sealed record TrialEntry(long Step, double Time, int Steps, double StepRatio, double CostRatio, string Verdict, bool Dropped) : RecordEntry(Step, Time);

/// <summary>An epoch's end.</summary>
/// <param name="Step">The last step of the epoch.</param>
/// <param name="Time">Seconds.</param>
/// <param name="Epoch">The epoch, counted from 1.</param>
/// <param name="TrainingLoss">The mean of its steps' losses.</param>
/// <param name="TestLoss">The loss on the test data; null without any.</param>
/// <param name="TestAccuracy">The accuracy on the test data; null where there is none.</param>
public sealed record EpochEntry(long Step, double Time, int Epoch, double TrainingLoss, double? TestLoss, double? TestAccuracy) : RecordEntry(Step, Time);

/// <summary>What a rank came to, about once a second.</summary>
/// <param name="Step">The last step done.</param>
/// <param name="Time">Seconds.</param>
/// <param name="Sent">Bytes that it has sent in training steps and the estimates before them, since its start line.</param>
/// <param name="PredictedSent">Bytes that the plan predicts for the same; null where one of them is not predicted.</param>
/// <param name="Held">Bytes of the tensors that last from step to step: parameters, gradients, buffers, and the state of optimizer, curvature and ADMM.</param>
/// <param name="Process">The whole process, in the line of its first rank; null in the others'.</param>
public sealed record RankEntry(long Step, double Time, long Sent, long? PredictedSent, long Held, ProcessMemory? Process) : RecordEntry(Step, Time);

/// <summary>Resident memory of a process.</summary>
/// <param name="Baseline">Bytes before its trainer was built.</param>
/// <param name="Resident">Bytes now.</param>
/// <param name="Peak">The most bytes since.</param>
public sealed record ProcessMemory(long Baseline, long Resident, long Peak);

/// <summary>A trainer's orderly end; a killed process writes none.</summary>
/// <param name="Step">Steps done.</param>
/// <param name="Time">Seconds.</param>
/// <param name="Failure">What ended it; null where nothing was wrong.</param>
public sealed record EndEntry(long Step, double Time, string? Failure) : RecordEntry(Step, Time);
