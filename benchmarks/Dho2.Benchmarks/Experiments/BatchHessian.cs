using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Curvature;
using Dho2.Pipelines;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Benchmarks.Experiments;

/// <summary>
/// The Hessian, or the Gauss-Newton matrix, of an unsplit model on one batch, by graphs kept over all products
/// (Pearlmutter 1994; Schraudolph 2002). Written apart from the runtime's operator, so that the experiment does not
/// inherit a mistake of that.
/// </summary>
internal sealed class BatchHessian : IHessianOperator, IDisposable
{
    private readonly IPipelineStage twin;
    private readonly FlatParameters leaves;
    private readonly DisposeScope graph;
    private readonly Tensor[] gradients;
    private readonly Tensor? output;
    private readonly Tensor? outputLeaf;
    private readonly Tensor? outputGradient;
    private readonly Tensor? cotangent;

    /// <param name="model">The model, on one stage.</param>
    /// <param name="parameters">The parameters at which the matrix is taken; copied.</param>
    /// <param name="seed">The run's seed.</param>
    /// <param name="inputs">The batch's inputs.</param>
    /// <param name="targets">The batch's targets.</param>
    /// <param name="gaussNewton">Whether the Gauss-Newton matrix is meant.</param>
    public BatchHessian(PipelineDefinition model, FlatParameters parameters, long seed, Tensor inputs, Tensor targets, bool gaussNewton)
    {
        twin = model.Stages[0](new StageContext(seed));
        leaves = new FlatParameters(twin.Layers, ScalarType.Float32, CPU);
        using (no_grad())
        {
            leaves.Values.copy_(parameters.Values).Dispose();
        }

        graph = NewDisposeScope();
        Tensor[] weights = [.. leaves.Parameters];
        if (gaussNewton)
        {
            output = twin.Forward([inputs])[0];
            cotangent = zeros_like(output).requires_grad_(true);
            gradients = [.. autograd.grad([output], weights, [cotangent], retain_graph: true, create_graph: true, allow_unused: true)];
            outputLeaf = output.detach().requires_grad_(true);
            outputGradient = autograd.grad([model.Loss([outputLeaf], [targets])], [outputLeaf], null, retain_graph: true, create_graph: true)[0];
        }
        else
        {
            gradients = [.. autograd.grad([model.Loss(twin.Forward([inputs]), [targets])], weights, null, retain_graph: true, create_graph: true, allow_unused: true)];
        }
    }

    /// <inheritdoc/>
    public long LocalSize => leaves.Count;

    /// <inheritdoc/>
    public void Multiply(Tensor direction, Tensor product)
    {
        using DisposeScope scope = NewDisposeScope();
        leaves.Gradients.zero_();
        Tensor[] weights = [.. leaves.Parameters];
        Tensor[] directions = [.. leaves.Segments.Select(s => direction.narrow(0, s.Offset, s.Length).view([.. s.Shape]))];
        if (output is null)
        {
            Backward(gradients, directions, weights);
        }
        else
        {
            Zero(cotangent!);
            Zero(outputLeaf!);
            Backward(gradients, directions, [cotangent!]);
            Backward([outputGradient!], [cotangent!.grad!.detach()], [outputLeaf!]);
            Backward([output], [outputLeaf!.grad!.detach()], weights);
        }

        product.copy_(leaves.Gradients);
    }

    public void Dispose()
    {
        graph.Dispose();
        leaves.Dispose();
        twin.Dispose();
    }

    private static void Backward(Tensor[] tensors, Tensor[] cotangents, Tensor[] inputs) =>
        autograd.backward(tensors, cotangents, true, false, inputs);

    private static void Zero(Tensor leaf)
    {
        using IDisposable noGrad = no_grad();
        leaf.grad?.zero_();
    }
}
