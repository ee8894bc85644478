using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Pipelines;
using Dho2.Planning;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Curvature;

/// <summary>
/// One stage's graphs of one micro-batch, <c>a_s = f_s(theta_s, a_{s-1})</c> and its vector-Jacobian product
/// <c>(g_s, delta_{s-1})</c> as a function of <c>delta_s</c>, and the two sweeps of a Hessian-vector product over them
/// (Pearlmutter 1994, composed by stages).
/// </summary>
/// <remarks>
/// <para>
/// Below the last stage the tangentsIn sweep leaves a graph of its tangents. Since <c>psi</c> is linear in <c>delta_s</c>, it
/// equals <c>&lt;delta_s, dbar_s&gt;</c>, and the downward sweep differentiates that: the tangents are not computed a
/// second time, and convolutions are differentiated by their own backward instead of their backward's, which is slow.
/// The last stage has no tangentsIn sweep of its own and differentiates <c>psi</c> as it stands, which costs it less.
/// </para>
/// <para>
/// Differentiation goes through <c>autograd.backward</c> into the leaves' <c>grad</c>, never through
/// <c>autograd.grad</c>: an error in the former is an exception, in the latter the end of the process.
/// </para>
/// </remarks>
internal sealed class StageGraph(CutPlan? incoming, CutPlan? outgoing, CurvatureMatrix matrix, bool reuseTangents) : IDisposable
{
    // Tensors of this micro-batch outlive every scope; all of them are here, to be disposed together.
    private readonly List<Tensor> owned = [];
    private Tensor[] inputs = [];
    private Tensor[] outputs = [];
    private Tensor[] cotangents = [];
    private Tensor?[] gradients = [];
    private Tensor?[] inputCotangents = [];
    private Tensor[] tangentsIn = [];
    private Tensor?[] tangentsOut = [];
    private Tensor[] lossLeaves = [];
    private Tensor?[] lossGradients = [];

    /// <summary>What crosses to the next stage, in the cut's order.</summary>
    public IReadOnlyList<Tensor> Outputs => outputs;

    /// <summary>How many of the incoming values have tangents and cotangents.</summary>
    public int IncomingCount => inputs.Count(input => input.requires_grad);

    /// <summary>How many of the outgoing values have tangents and cotangents.</summary>
    public int OutgoingCount => Enumerable.Range(0, outputs.Length).Count(HasTangent);

    /// <summary>Whether a value of a cut has tangents and cotangents.</summary>
    public static bool Travels(CutPlan cut, int value, Tensor tensor) => cut.Values[value].Differentiable && tensor.is_floating_point();

    /// <summary>Takes in the previous stage's values, as leaves.</summary>
    public void SetInputs(IReadOnlyList<Tensor> values)
    {
        inputs = [.. values.Select(Own)];
        for (int i = 0; i < inputs.Length; i++)
        {
            inputs[i].requires_grad = Travels(incoming!, i, inputs[i]);
        }
    }

    /// <summary>Runs the stage's forward, and on the last stage the loss.</summary>
    /// <param name="stage">The stage.</param>
    /// <param name="modelInputs">The model's inputs, on the first stage.</param>
    /// <param name="loss">The micro-batch's weighted loss, on the last stage.</param>
    public void Forward(IPipelineStage stage, IReadOnlyList<Tensor>? modelInputs, Func<IReadOnlyList<Tensor>, Tensor>? loss)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor[] results = stage.Forward(modelInputs ?? inputs);
        if (outgoing is not null && results.Length != outgoing.Values.Count)
        {
            throw new InvalidOperationException($"The stage gives {results.Length} values, its cut has {outgoing.Values.Count}.");
        }

        if (loss is null)
        {
            outputs = [.. results.Select(result => Own(result.alias()))];
        }
        else if (matrix == CurvatureMatrix.Hessian)
        {
            Tensor value = loss(results);
            outputs = [Own(value.alias())];
            cotangents = [Own(ones_like(value))];
        }
        else
        {
            outputs = [.. results.Select(result => Own(result.alias()))];
            cotangents = [.. results.Select(result => Own(zeros_like(result).requires_grad_(result.is_floating_point())))];
            lossLeaves = [.. results.Select(result => Own(result.detach().requires_grad_(result.requires_grad)))];
            lossGradients = Differentiate([loss(lossLeaves)], null, lossLeaves);
        }
    }

    /// <summary>Takes in the cotangents of the values that crossed, as leaves; those that have none are null.</summary>
    public void SetCotangents(IReadOnlyList<Tensor?> values) =>
        cotangents = [.. values.Select((value, i) => Own((value ?? zeros_like(outputs[i])).requires_grad_(value is not null)))];

    /// <summary>Builds the graph of the vector-Jacobian product.</summary>
    /// <param name="parameters">The stage's parameters; their <c>grad</c> is left null.</param>
    /// <returns>The cotangents of the incoming values that travel.</returns>
    public Tensor[] Backward(IReadOnlyList<Tensor> parameters)
    {
        Tensor[] leaves = [.. parameters, .. inputs];
        Tensor?[] derivatives = Differentiate(outputs, cotangents, leaves);
        gradients = derivatives[..parameters.Count];
        inputCotangents = derivatives[parameters.Count..];
        return TravellingInputs(inputCotangents);
    }

    /// <summary>
    /// The tangentsIn sweep: <c>psi = &lt;g, v&gt; + &lt;delta_{s-1}, dbar_{s-1}&gt;</c>, whose derivative with respect to
    /// <c>delta_s</c> is the tangent of <c>a_s</c>. Its graph lives until <see cref="Down"/>.
    /// </summary>
    /// <param name="direction">The stage's part of the direction, one view for each parameter.</param>
    /// <param name="tangents">The tangents of the incoming values that travel; empty where they are zero.</param>
    /// <returns>The tangents of the outgoing values that travel.</returns>
    public Tensor[] Up(IReadOnlyList<Tensor> direction, IReadOnlyList<Tensor> tangents)
    {
        ReleaseTangents();
        tangentsIn = [.. tangents.Select(tangent => tangent.alias().DetachFromDisposeScope())];
        (List<Tensor> tensors, List<Tensor> factors) = Psi(direction);
        Run(tensors, factors, [.. cotangents.Where(c => c.requires_grad)], ReusesTangents);
        tangentsOut = new Tensor?[outputs.Length];
        List<Tensor> result = [];
        for (int i = 0; i < outputs.Length; i++)
        {
            if (HasTangent(i))
            {
                Tensor? tangent = TakeGradient(cotangents[i]);
                tangentsOut[i] = ReusesTangents ? tangent?.DetachFromDisposeScope() : null;
                result.Add(tangent?.detach() ?? zeros_like(outputs[i]));
            }
        }

        return [.. result];
    }

    /// <summary>On the last stage, the product of the loss's own Hessian with tangents of the results.</summary>
    public Tensor[] MultiplyLoss(IReadOnlyList<Tensor> tangents)
    {
        List<Tensor> tensors = [];
        List<Tensor> factors = [];
        Tensor[] floating = [.. lossLeaves.Where(leaf => leaf.is_floating_point())];
        Tensor?[] derivatives = [.. lossGradients.Where((_, i) => lossLeaves[i].is_floating_point())];
        for (int i = 0; i < floating.Length; i++)
        {
            Add(tensors, factors, derivatives[i], tangents[i]);
        }

        Run(tensors, factors, [.. floating.Where(leaf => leaf.requires_grad)]);
        return [.. floating.Select(leaf => TakeGradient(leaf) ?? zeros_like(leaf))];
    }

    /// <summary>
    /// The downward sweep: the derivative of <c>psi + &lt;a_s, abar_s&gt;</c> with respect to the parameters, which is
    /// added to their <c>grad</c>, and to the incoming values.
    /// </summary>
    /// <param name="parameters">The stage's parameters.</param>
    /// <param name="direction">The stage's part of the direction, one view for each parameter.</param>
    /// <param name="adjoints">What the next stage sent down for the outgoing values that travel.</param>
    /// <param name="goesOn">Whether anything is wanted for the incoming values.</param>
    /// <returns>What goes down for the incoming values that travel.</returns>
    public Tensor[] Down(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> direction, IReadOnlyList<Tensor> adjoints, bool goesOn)
    {
        List<Tensor> tensors = [];
        List<Tensor> factors = [];
        if (ReusesTangents)
        {
            for (int i = 0; i < tangentsOut.Length; i++)
            {
                Add(tensors, factors, tangentsOut[i], cotangents[i].detach());
            }
        }
        else if (matrix == CurvatureMatrix.Hessian)
        {
            (tensors, factors) = Psi(direction);
        }

        int next = 0;
        for (int i = 0; i < outputs.Length && next < adjoints.Count; i++)
        {
            if (HasTangent(i))
            {
                Add(tensors, factors, outputs[i], adjoints[next++]);
            }
        }

        Run(tensors, factors, goesOn ? [.. parameters, .. inputs.Where(input => input.requires_grad)] : [.. parameters]);
        ReleaseTangents();
        return goesOn ? TravellingInputs([.. inputs.Select(TakeGradient)]) : [];
    }

    public void Dispose()
    {
        ReleaseTangents();
        owned.ForEach(tensor => tensor.Dispose());
        owned.Clear();
    }

    private bool ReusesTangents => reuseTangents && outgoing is not null && matrix == CurvatureMatrix.Hessian;

    private void ReleaseTangents()
    {
        Array.ForEach(tangentsIn, tangent => tangent.Dispose());
        Array.ForEach(tangentsOut, tangent => tangent?.Dispose());
        tangentsIn = [];
        tangentsOut = [];
    }

    private bool HasTangent(int output) => outgoing is null ? cotangents[output].requires_grad : Travels(outgoing, output, outputs[output]);

    private Tensor[] TravellingInputs(Tensor?[] values)
    {
        List<Tensor> result = [];
        for (int i = 0; i < inputs.Length; i++)
        {
            if (inputs[i].requires_grad)
            {
                result.Add(values[i]?.detach() ?? zeros_like(inputs[i]));
            }
        }

        return [.. result];
    }

    private (List<Tensor> Tensors, List<Tensor> Factors) Psi(IReadOnlyList<Tensor> direction)
    {
        List<Tensor> tensors = [];
        List<Tensor> factors = [];
        for (int i = 0; i < gradients.Length; i++)
        {
            Add(tensors, factors, gradients[i], direction[i]);
        }

        int next = 0;
        for (int i = 0; i < inputs.Length; i++)
        {
            if (inputs[i].requires_grad && tangentsIn.Length > 0)
            {
                Add(tensors, factors, inputCotangents[i], tangentsIn[next++]);
            }
        }

        return (tensors, factors);
    }

    // The derivatives of "tensors" as functions that can be differentiated again; null where there is none.
    private Tensor?[] Differentiate(Tensor[] tensors, Tensor[]? factors, Tensor[] leaves)
    {
        using DisposeScope scope = NewDisposeScope();
        int[] live = [.. Enumerable.Range(0, tensors.Length).Where(i => tensors[i].requires_grad)];
        Tensor[] active = [.. leaves.Where(leaf => leaf.requires_grad)];
        if (live.Length == 0 || active.Length == 0)
        {
            return new Tensor?[leaves.Length];
        }

        foreach (Tensor leaf in active)
        {
            leaf.grad = null;
        }

        autograd.backward(
            [.. live.Select(i => tensors[i])],
            [.. live.Select(i => factors?[i] ?? ones_like(tensors[i]))],
            retain_graph: true,
            create_graph: true,
            inputs: active);
        Tensor?[] result = new Tensor?[leaves.Length];
        for (int i = 0; i < leaves.Length; i++)
        {
            if (leaves[i].requires_grad && leaves[i].grad is { } derivative)
            {
                result[i] = Own(derivative);

                // The leaf would keep alive a graph that keeps alive the leaf.
                leaves[i].grad = null;
            }
        }

        return result;
    }

    private static void Add(List<Tensor> tensors, List<Tensor> factors, Tensor? tensor, Tensor factor)
    {
        if (tensor is not null && tensor.requires_grad)
        {
            tensors.Add(tensor);
            factors.Add(factor);
        }
    }

    private static void Run(List<Tensor> tensors, List<Tensor> factors, Tensor[] leaves, bool createGraph = false)
    {
        if (tensors.Count > 0 && leaves.Length > 0)
        {
            autograd.backward(tensors, factors, retain_graph: true, create_graph: createGraph, inputs: leaves);
        }
    }

    private static Tensor? TakeGradient(Tensor leaf)
    {
        if (!leaf.requires_grad || leaf.grad is not { } gradient)
        {
            return null;
        }

        leaf.grad = null;
        return gradient;
    }

    private Tensor Own(Tensor tensor)
    {
        Tensor kept = tensor.DetachFromDisposeScope();
        owned.Add(kept);
        return kept;
    }
}
