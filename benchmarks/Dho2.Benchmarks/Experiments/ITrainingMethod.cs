using System;
using static TorchSharp.torch;

namespace Dho2.Benchmarks.Experiments;

/// <summary>How a run moves its parameters.</summary>
internal interface ITrainingMethod : IDisposable
{
    /// <summary>The share of its first rate that the schedule leaves at the step to come.</summary>
    double Share { set; }

    /// <summary>Does what is due before a step besides the step itself: an estimate of the curvature.</summary>
    /// <param name="step">Steps made so far.</param>
    void Prepare(int step);

    /// <summary>Makes one step.</summary>
    /// <param name="inputs">The batch's inputs.</param>
    /// <param name="targets">The batch's targets.</param>
    void Step(Tensor inputs, Tensor targets);

    /// <summary>Adds what the method has noted of itself to a run's result.</summary>
    RunResult Describe(RunResult result);
}
