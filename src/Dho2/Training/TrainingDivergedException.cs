using System;
using System.Globalization;

namespace Dho2;

/// <summary>Loss or gradient is no longer a finite number: the run has ended.</summary>
public sealed class TrainingDivergedException : Exception
{
    /// <summary>Creates the exception.</summary>
    /// <param name="step">The step, counted from 1.</param>
    /// <param name="quantity">What is not finite.</param>
    /// <param name="value">Its value.</param>
    /// <param name="learningRate">The rate in force.</param>
    public TrainingDivergedException(long step, string quantity, double value, double learningRate)
        : base(string.Create(
            CultureInfo.InvariantCulture,
            $"Training has diverged: in step {step} the {quantity} is {value}. The learning rate was {learningRate}; a smaller one, or gradient clipping, may help."))
    {
        Step = step;
    }

    /// <summary>The step, counted from 1.</summary>
    public long Step { get; }
}
