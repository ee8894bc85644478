using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Pipelines;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Dho2.Benchmarks.TimeToLoss;

/// <summary>
/// One layer's block of the Fisher matrix as a Kronecker product: A of the layer's inputs (a one for the bias appended), G of
/// the gradients of its outputs (Martens and Grosse 2015). Where weights are used at several places of a sample, positions of
/// a convolution (Grosse and Martens 2016) or time steps (Martens, Ba and Johnson 2018), places count as independent: A is
/// their sum, G their mean.
/// </summary>
internal sealed class KroneckerFactors : IDisposable
{
    private readonly Conv2d? convolution;
    private readonly FlatSegment weight;
    private readonly FlatSegment bias;
    private readonly long outputs;
    private readonly long inputs;
    private Tensor? inputInverse;
    private Tensor? outputInverse;
    private bool known;

    /// <param name="layer">A linear layer or a convolution without groups and dilation, with a bias.</param>
    /// <param name="segments">The places of the parameters on the flat vector.</param>
    public KroneckerFactors(StageLayer layer, IReadOnlyList<FlatSegment> segments)
    {
        Name = layer.Name;
        convolution = layer.Module as Conv2d;
        weight = segments.Single(s => s.Name == layer.Name + ".weight");
        bias = segments.Single(s => s.Name == layer.Name + ".bias");
        outputs = bias.Length;
        inputs = weight.Length / outputs;
        ScalarType type = layer.Module!.parameters().First().dtype;
        Inputs = zeros([inputs + 1, inputs + 1], type).DetachFromDisposeScope();
        Outputs = zeros([outputs, outputs], type).DetachFromDisposeScope();
    }

    /// <summary>The layer's name.</summary>
    public string Name { get; }

    /// <summary>A: exponential mean over batches, shape (in + 1, in + 1).</summary>
    public Tensor Inputs { get; }

    /// <summary>G: the same, shape (out, out).</summary>
    public Tensor Outputs { get; }

    /// <summary>Adds a batch.</summary>
    /// <param name="uses">For each use of the layer its input, and the gradient of the batch's mean loss with respect to its output.</param>
    /// <param name="terms">Terms that a sample's loss is the mean of.</param>
    /// <param name="decay">What is left of the mean so far.</param>
    public void Update(IReadOnlyList<(Tensor Input, Tensor Gradient)> uses, int terms, double decay)
    {
        using DisposeScope scope = NewDisposeScope();
        long batch = uses[0].Input.shape[0];
        Tensor a = cat([.. uses.Select(use => Rows(use.Input))], 0);
        Tensor g = cat([.. uses.Select(use => GradientRows(use.Gradient))], 0);
        double places = (double)a.shape[0] / batch;
        a = cat([a, ones([a.shape[0], 1], a.dtype)], 1);

        // A sample's own gradient is batch times that of the mean over the batch.
        double kept = known ? decay : 0;
        Inputs.mul_(kept).add_(a.t().mm(a), alpha: (1 - kept) / batch);
        Outputs.mul_(kept).add_(g.t().mm(g), alpha: (1 - kept) * terms * batch / places);
        known = true;
    }

    /// <summary>
    /// Inverts both factors with the damping split between them (Martens and Grosse 2015, section 6.3): each gets its root,
    /// weighted by the ratio of their mean eigenvalues.
    /// </summary>
    public void Invert(double damping)
    {
        using DisposeScope scope = NewDisposeScope();
        double a = Inputs.trace().to_type(ScalarType.Float64).item<double>() / (inputs + 1);
        double g = Outputs.trace().to_type(ScalarType.Float64).item<double>() / outputs;

        // A layer whose outputs have no gradient, or without inputs, has no ratio.
        double ratio = a > 0 && g > 0 ? Math.Sqrt(a / g) : 1;
        Replace(ref inputInverse, Inverse(Inputs, ratio * Math.Sqrt(damping)));
        Replace(ref outputInverse, Inverse(Outputs, Math.Sqrt(damping) / ratio));
    }

    /// <summary>Multiplies the layer's part of a flat vector by the inverse of the damped block, in place.</summary>
    public void Precondition(Tensor vector)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor weights = vector.narrow(0, weight.Offset, weight.Length).view(outputs, inputs);
        Tensor biases = vector.narrow(0, bias.Offset, bias.Length).view(outputs, 1);
        Tensor result = outputInverse!.mm(cat([weights, biases], 1)).mm(inputInverse!);
        weights.copy_(result.narrow(1, 0, inputs));
        biases.copy_(result.narrow(1, inputs, 1));
    }

    public void Dispose()
    {
        Inputs.Dispose();
        Outputs.Dispose();
        inputInverse?.Dispose();
        outputInverse?.Dispose();
    }

    // What each place sees: a row for every sample and place.
    private Tensor Rows(Tensor input) => convolution is null
        ? input.reshape(-1, inputs)
        : nn.functional.unfold(input, Pair(convolution.kernel_size), (1, 1), Pair(convolution.padding!), Pair(convolution.stride)).transpose(1, 2).reshape(-1, inputs);

    private Tensor GradientRows(Tensor gradient) => convolution is null
        ? gradient.reshape(-1, outputs)
        : gradient.flatten(2).transpose(1, 2).reshape(-1, outputs);

    private static Tensor Inverse(Tensor matrix, double damping)
    {
        Tensor damped = matrix + (eye(matrix.shape[0], dtype: matrix.dtype) * damping);
        return cholesky_inverse(linalg.cholesky(damped));
    }

    private static void Replace(ref Tensor? old, Tensor value)
    {
        old?.Dispose();
        old = value.DetachFromDisposeScope();
    }

    private static (long, long) Pair(long[] sizes) => (sizes[0], sizes[^1]);
}
