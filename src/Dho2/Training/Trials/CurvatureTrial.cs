using System;

namespace Dho2;

/// <summary>What a run does once a trial has shown that curvature does not pay, or has shown no gain of it.</summary>
public enum UnpaidCurvature
{
    /// <summary>It says so, and goes on as it would have without a trial.</summary>
    Keep,

    /// <summary>It goes on with the base optimizer alone.</summary>
    Drop,
}

/// <summary>
/// Lets <c>Fit</c> find out whether curvature pays: after an estimate has taken force, the base optimizer alone trains some
/// steps, the run is put back to where it was, and curvature trains the same steps on the same batches; see
/// <see cref="Trainer.CurvatureCompared"/>.
/// </summary>
/// <remarks>
/// <para>
/// With <see cref="UnpaidCurvature.Keep"/> the run's course is bit for bit what it is without the trial, provided that the data
/// set gives the same samples for the same indices. A trial costs the time of its base steps, and memory for a copy of
/// parameters, buffers, the base optimizer's state and ADMM's variables.
/// </para>
/// <para>
/// Trials are made by <c>Fit</c> alone, not by calls of <c>TrainStep</c>; none is made without curvature, nor where the call has
/// fewer steps left than a trial takes. Ranks that estimate beside training (<c>CurvatureMode.Dedicated</c>) take time from
/// nobody that a step could show, and exclude trials.
/// </para>
/// </remarks>
public sealed record CurvatureTrial
{
    /// <summary>The fewest steps that a trial may take.</summary>
    internal const int FewestSteps = 4;

    private const int MostDefaultSteps = 100;

    private readonly int afterEstimate = 2;
    private readonly int? steps;
    private readonly int repeatEvery;

    /// <summary>
    /// The estimate after which the trial is made, counted from 1 over this trainer's calls of <c>Fit</c>; the default is 2, because
    /// the first estimate has nothing to start from and takes more products than later ones. At least 1.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">Below 1.</exception>
    public int AfterEstimate
    {
        get => afterEstimate;
        init => afterEstimate = value >= 1 ? value : throw OutOfRange(nameof(AfterEstimate), value, "at least 1");
    }

    /// <summary>
    /// The steps that are trained both ways; at least 4, and at most the curvature's <c>Every</c>. Null, the default, takes
    /// <c>Every</c> or 100, whichever is less.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">Below 4.</exception>
    public int? Steps
    {
        get => steps;
        init => steps = value is null or >= FewestSteps ? value : throw OutOfRange(nameof(Steps), value, $"at least {FewestSteps}");
    }

    /// <summary>Estimates from one trial to the next; 0, the default, makes one trial only.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Negative.</exception>
    public int RepeatEvery
    {
        get => repeatEvery;
        init => repeatEvery = value >= 0 ? value : throw OutOfRange(nameof(RepeatEvery), value, "at least 0");
    }

    /// <summary>
    /// What to do where curvature does not pay, or no gain of it is seen that would. <see cref="UnpaidCurvature.Drop"/> depends on measured times, by the clock of rank
    /// 0, so that such a run need not repeat bit for bit; a checkpoint keeps what was decided.
    /// </summary>
    public UnpaidCurvature WhenItDoesNotPay { get; init; } = UnpaidCurvature.Keep;

    /// <summary>The steps of a trial.</summary>
    /// <param name="every">Steps from one estimate to the next.</param>
    internal int StepsFor(int every) => Steps ?? Math.Min(every, MostDefaultSteps);

    /// <summary>Whether a trial is made after an estimate.</summary>
    /// <param name="estimate">Which, counted from 1.</param>
    internal bool IsAfter(long estimate) =>
        estimate == AfterEstimate || (RepeatEvery > 0 && estimate > AfterEstimate && (estimate - AfterEstimate) % RepeatEvery == 0);

    private static ArgumentOutOfRangeException OutOfRange(string name, object? value, string expected) => new(name, value, $"{name} must be {expected}.");
}
