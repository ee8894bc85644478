using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using Dho2.Curvature;
using Dho2.Pipelines;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Benchmarks.Experiments;

/// <summary>What is trained: a task's model on one stage, its parameters on a flat buffer.</summary>
internal sealed class TrainingState : IDisposable
{
    /// <summary>Gradients are clipped to this norm in every task and by every method that follows them.</summary>
    public const double GradientClip = 3;

    public TrainingState(TrainingTask task, RunSettings settings)
    {
        Task = task;
        Settings = settings;
        Stage = task.Model.Stages[0](new StageContext(settings.Seed));
        Parameters = new FlatParameters(Stage.Layers, ScalarType.Float32, CPU);
        Space = new ShardedSpace([.. Parameters.Segments.Select(s => new ParameterSegment(s.Name, s.Offset, s.Length))]);
    }

    /// <summary>The task.</summary>
    public TrainingTask Task { get; }

    /// <summary>The run's settings.</summary>
    public RunSettings Settings { get; }

    /// <summary>The model.</summary>
    public IPipelineStage Stage { get; }

    /// <summary>Its parameters.</summary>
    public FlatParameters Parameters { get; }

    /// <summary>The space that they are in.</summary>
    public ShardedSpace Space { get; }

    /// <summary>Puts the gradient of a batch's loss into <see cref="FlatParameters.Gradients"/>.</summary>
    public void ComputeGradient(Tensor inputs, Tensor targets)
    {
        Parameters.Gradients.zero_();
        Task.Model.Loss(Stage.Forward([inputs]), [targets]).backward();
    }

    /// <summary>Six digits are more than the seeds agree on, and keep the stored runs short.</summary>
    public static double Digits(double value) => double.Parse(value.ToString("g6", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);

    public void Dispose()
    {
        Parameters.Dispose();
        Stage.Dispose();
    }
}
