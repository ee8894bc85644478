using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Benchmarks.Experiments;
using Dho2.Optimizers;
using Dho2.Pipelines;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Benchmarks.TimeToLoss;

/// <summary>
/// K-FAC (Martens and Grosse 2015): the gradient is multiplied by the inverse of a Kronecker-factored Fisher matrix, held back
/// so that the change of the model's distribution stays bounded (Ba, Grosse and Martens 2017), and handed to heavy-ball. The
/// Fisher matrix is the true one: its gradients are of targets that the model draws itself.
/// </summary>
internal sealed class KfacMethod : ITrainingMethod
{
    private const int StatisticsEvery = 5;
    private const int InverseEvery = 20;
    private const double Decay = 0.8;

    // In the first steps the factors change most.
    private const int EarlySteps = 5;

    private readonly TrainingState state;
    private readonly KroneckerModel model;
    private readonly double damping;
    private readonly double bound;
    private readonly KroneckerFactors[] layers;
    private readonly HybridOptimizer optimizer;
    private readonly Generator sampler;
    private readonly Tensor gradient;
    private int step;

    /// <param name="state">What is trained.</param>
    /// <param name="model">The model, layer by layer.</param>
    /// <param name="damping">Tikhonov damping (lambda).</param>
    /// <param name="bound">The largest step in the metric of the Fisher matrix, squared, at the first rate (the KL clip).</param>
    public KfacMethod(TrainingState state, KroneckerModel model, double damping, double bound)
    {
        this.state = state;
        this.model = model;
        this.damping = damping;
        this.bound = bound;
        layers = [.. state.Stage.Layers.Select(layer => new KroneckerFactors(layer, state.Parameters.Segments))];
        optimizer = new HybridOptimizer(state.Space, new HybridSettings { Base = state.Settings.Base, LearningRate = state.Settings.LearningRate, Alpha = 0 });
        sampler = new Generator((ulong)StageContext.SeedOf(state.Settings.Seed, "Fisher targets"));
        gradient = state.Space.Zeros();
    }

    /// <inheritdoc/>
    public double Share { private get; set; } = 1;

    /// <inheritdoc/>
    public void Prepare(int step) => this.step = step;

    /// <inheritdoc/>
    public void Step(Tensor inputs, Tensor targets)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor gradients = state.Parameters.Gradients;
        bool early = step < EarlySteps;
        if (early || step % StatisticsEvery == 0)
        {
            gradients.zero_();
            ActivationRecorder recorder = new(state.Stage.Layers);
            Tensor output = model.Forward(recorder, inputs);
            UpdateFactors(recorder, output);
            state.Task.Model.Loss([output], [targets]).backward();
        }
        else
        {
            state.ComputeGradient(inputs, targets);
        }

        if (early || step % InverseEvery == 0)
        {
            Array.ForEach(layers, layer => layer.Invert(damping));
        }

        gradient.copy_(gradients);
        Array.ForEach(layers, layer => layer.Precondition(gradients));
        double rate = state.Settings.LearningRate;
        double square = rate * rate * state.Space.Dot(gradients, gradient);
        if (square > bound)
        {
            gradients.mul_(Math.Sqrt(bound / square));
        }

        optimizer.LearningRate = rate * Share;
        optimizer.Step(state.Parameters.Values, gradients);
    }

    /// <inheritdoc/>
    public RunResult Describe(RunResult result) => result;

    public void Dispose()
    {
        Array.ForEach(layers, layer => layer.Dispose());
        optimizer.Dispose();
        sampler.Dispose();
        gradient.Dispose();
    }

    private void UpdateFactors(ActivationRecorder recorder, Tensor output)
    {
        Tensor drawn;
        using (no_grad())
        {
            drawn = model.Draw(output.detach(), sampler);
        }

        Tensor[] outputs = [.. recorder.Records.Select(record => record.Output)];
        IList<Tensor> found = autograd.grad([state.Task.Model.Loss([output], [drawn])], outputs, null, retain_graph: true);
        using IDisposable noGrad = no_grad();
        foreach (KroneckerFactors layer in layers)
        {
            layer.Update(
                [.. recorder.Records.Select((record, i) => (record.Layer, record.Input, Gradient: found[i])).Where(r => r.Layer == layer.Name).Select(r => (r.Input, r.Gradient))],
                model.Terms, Decay);
        }
    }
}
