using System;
using System.Collections.Generic;
using System.Linq;

namespace Dho2.Planning;

/// <summary>
/// The bytes that a stage's device needs, by kind. Everything is counted in whole bytes; a term of which a part is not
/// known is unknown as a whole, never guessed.
/// </summary>
internal sealed class MemoryModel
{
    // Eigenvectors are estimated in a basis of single precision, whatever the model's own.
    private const long BasisElement = sizeof(float);

    private readonly ModelDescription model;
    private readonly ModelOptions options;
    private readonly InferenceResult inference;
    private readonly InferenceResult products;
    private readonly EquatableArray<int> microBatches;
    private readonly ScheduleSimulation run;
    private readonly bool retainsGraphs;
    private readonly long element;
    private readonly long computed;

    public MemoryModel(
        ModelDescription model,
        ModelOptions options,
        InferenceResult inference,
        InferenceResult products,
        EquatableArray<int> microBatches,
        ScheduleSimulation run,
        bool retainsGraphs = true)
    {
        this.model = model;
        this.options = options;
        this.inference = inference;
        this.products = products;
        this.microBatches = microBatches;
        this.run = run;
        this.retainsGraphs = retainsGraphs;
        element = ElementTypes.SizeOf(ElementTypes.MasterOf(options.DType));
        computed = ElementTypes.SizeOf(options.DType);
    }

    /// <summary>What is known of the shapes where products are taken: in the type of the parameters, whatever stages compute in.</summary>
    /// <param name="model">The model.</param>
    /// <param name="options">The options in force.</param>
    /// <param name="inference">What is known of the shapes in training.</param>
    public static InferenceResult InferenceOfProducts(ModelDescription model, ModelOptions options, InferenceResult inference) =>
        ElementTypes.MasterOf(options.DType) == options.DType || options.Curvature is null
            ? inference
            : ShapeInference.Infer(model with { Options = options with { DType = ElementTypes.MasterOf(options.DType) } });

    /// <summary>The terms of one stage.</summary>
    /// <param name="stage">What it holds.</param>
    /// <param name="modelSize">The parameters of all stages; null where unknown.</param>
    /// <param name="ties">The parameters that several stages share.</param>
    public EquatableArray<MemoryTerm> Of(StageContents stage, long? modelSize, EquatableArray<TiePlan> ties = default)
    {
        long? count = stage.Count;
        long? vector = SafeInteger.Multiply(count, element);
        long? buffers = BuffersOf(stage, inference);
        StageActivations activations = stage.Activations;
        long? mirrored = Sum(ties.Where(tie => tie.Mirrors.Contains(stage.Index)).Select(tie => (long?)tie.Count));
        long? mirrors = SafeInteger.Multiply(mirrored, computed);

        // What modules have in a type of its own lies beside what is trained: values, and gradients before they are added up.
        long? rounded = IsMixed ? SafeInteger.Multiply(count, computed) : 0;
        long? held = SafeInteger.Add(vector, rounded);
        int vectors = options.Base switch { BaseKind.Sgd => 0, BaseKind.Adam => 2, _ => 1 };
        var terms = new List<MemoryTerm>
        {
            new(MemoryKind.Parameters, SafeInteger.Add(SafeInteger.Add(held, mirrors), buffers)),
            new(MemoryKind.Gradients, Sum([held, mirrors, IsMixed ? SafeInteger.Multiply(mirrored, element) : 0])),

            // A share of the gradient is reduced into memory of its own.
            new(MemoryKind.Optimizer, SafeInteger.Multiply(ShareOf(vector), vectors + (IsSharded ? 1 : 0))),
        };
        if (options.Curvature is { } curvature && curvature.Rank + (long)curvature.Smallest > 0)
        {
            long pairs = stage.CurvatureRank + (long)curvature.Smallest;
            terms.Add(new(MemoryKind.Curvature, CurvatureBytes(pairs, ShareOf(vector))));
            terms.AddRange(curvature.Mode == CurvatureMode.Dedicated
                ? SnapshotTerms(pairs, vector, buffers)
                : EstimateTerms(curvature, pairs, count, modelSize, vector, stage, replicas: 1));
        }

        if (options.Admm is not null && options.Replicas > 1)
        {
            // Consensus and scaled dual; or anchor and dual.
            terms.Add(new(MemoryKind.Admm, SafeInteger.Multiply(vector, 2)));
        }

        terms.AddRange(ActivationTerms(stage, buffers));
        terms.Add(new(MemoryKind.Boundary, BoundaryBytes(stage)));
        return terms.ToEquatableArray();
    }

    private IEnumerable<MemoryTerm> ActivationTerms(StageContents stage, long? buffers)
    {
        // The larger micro-batches come first, so that these are the most that are in flight together.
        StageActivations activations = stage.Activations;
        IEnumerable<int> inFlight = microBatches.Take(run.MaxInFlight[stage.Index]);
        long? temporary = activations.Temporary(microBatches[0]);
        if (!stage.Recomputes)
        {
            return [new(MemoryKind.Activations, Sum(inFlight.Select(activations.Kept))), new(MemoryKind.Temporary, temporary)];
        }

        // What works in place works on a copy of the inputs in the first forward; buffers are put back after the second.
        long? copied = stage.MayWorkInPlace ? activations.CopiedInputs(microBatches[0]) : 0;
        return
        [
            new(MemoryKind.SavedInputs, Sum(inFlight.Select(activations.Inputs))),
            new(MemoryKind.Activations, Sum(microBatches.Take(run.MaxRecomputed[stage.Index])
                .Select(samples => SafeInteger.Add(activations.Kept(samples), -activations.Inputs(samples))))),
            new(MemoryKind.Temporary, SafeInteger.Add(temporary, Larger(copied, buffers))),
        ];
    }

    private bool IsMixed => computed != element;

    private bool IsSharded => options.ShardsOptimizer && options.Replicas > 1;

    /// <summary>What one replica holds of a vector: all of it, or an equal share with its padding.</summary>
    private long? ShareOf(long? vector) =>
        IsSharded && vector is { } bytes ? ((bytes / element) + options.Replicas - 1) / options.Replicas * element : vector;

    /// <summary>
    /// What the rank needs that estimates for a stage, where curvature has ranks of its own: the previous eigenvectors, and
    /// an estimate over the batches of all replicas.
    /// </summary>
    /// <param name="stage">The stage.</param>
    /// <param name="modelSize">The parameters of all stages; null where unknown.</param>
    public long? DedicatedOf(StageContents stage, long? modelSize)
    {
        if (options.Curvature is not { Mode: CurvatureMode.Dedicated } curvature || curvature.Rank + (long)curvature.Smallest <= 0)
        {
            return null;
        }

        long pairs = stage.CurvatureRank + (long)curvature.Smallest;
        long? vector = SafeInteger.Multiply(stage.Count, element);
        return SafeInteger.Add(
            SafeInteger.Multiply(vector, pairs),
            Sum(EstimateTerms(curvature, pairs, stage.Count, modelSize, vector, stage, options.Replicas).Select(term => term.Bytes)));
    }

    private static long? BuffersOf(StageContents stage, InferenceResult inferred) => Sum(stage.Layers.Select(l => inferred.Layers[l].Buffers is { } b
        ? Sum(b.Select(p => SafeInteger.Multiply(p.Count, ElementTypes.SizeOf(p.DType))))
        : null));

    /// <summary>What a worker adds for ranks that estimate beside it: a copy of its parameters on their way, and the new eigenvectors.</summary>
    private static MemoryTerm[] SnapshotTerms(long pairs, long? vector, long? buffers) =>
    [
        new(MemoryKind.Basis, SafeInteger.Multiply(vector, pairs)),
        new(MemoryKind.Copy, SafeInteger.Add(vector, buffers)),
    ];

    /// <summary>The kept eigenvectors, the carried rest of the momentum and, where its step is prepared, Adam's direction.</summary>
    private long? CurvatureBytes(long pairs, long? vector) =>
        pairs <= 0 ? 0 : SafeInteger.Multiply(vector, pairs + (options.Base == BaseKind.Adam ? 2 : 1));

    /// <summary>
    /// What an estimate needs: basis, new eigenvectors and work vectors; the graphs of the micro-batches of the curvature
    /// batch, or of as many as there are stages where they are built anew for every product, and what sweeping over one of
    /// them needs; and, from the start of the run to its end, the copy of the stage that products are taken at, with a vector for the product.
    /// </summary>
    private MemoryTerm[] EstimateTerms(
        CurvatureOptions curvature, long pairs, long? count, long? modelSize, long? vector, StageContents stage, int replicas)
    {
        int batch = curvature.Batch > 0 ? curvature.Batch : options.Batch;
        int[] sizes = Enumerable.Repeat(MicroBatches.Split(batch, options.MicroBatches), replicas).SelectMany(s => s).OrderByDescending(s => s).ToArray();

        StageActivations activations = stage.ProductActivations ?? stage.Activations;

        // A micro-batch's graph keeps the gradients that it gives, of the parameters and of what came in, and the one that it got.
        long? graphs = Sum(sizes.Take(retainsGraphs ? sizes.Length : stage.Stages).Select(size => Sum(
            [activations.Twice(size), vector, CutBytes(products, stage.Incoming, size), CutBytes(products, stage.Outgoing, size)])));

        // Tangents wait between their way up and their way down: a stage goes as many micro-batches ahead as there are stages after it.
        long? tangents = Sum(sizes.Take(stage.Stages - stage.Index).Select(size => SafeInteger.Add(
            CutBytes(products, stage.Incoming, size), stage.ReusesTangents ? activations.Tangents(size) : 0)));
        long? basis = LendsSweeps(curvature, stage) ? SafeInteger.Multiply(ShareOf(vector), 2) : 0;
        if (pairs > 0)
        {
            long? size = curvature.Scope == CurvatureScope.Global ? modelSize : count;
            long? rows = size is { } n ? Math.Min(n, LanczosOrder.Of(curvature, pairs, n)) + 1 : null;

            // A stage that lends its sweeps to others does so at other times than it has a basis of its own.
            basis = Larger(basis, SafeInteger.Add(
                SafeInteger.Multiply(SafeInteger.Multiply(rows, IsSharded ? ShareOf(vector) / element : count), BasisElement),
                SafeInteger.Multiply(ShareOf(vector), pairs + (element == BasisElement ? 0 : 2))));

            // Directions are gathered and products handed out by shares.
            basis = SafeInteger.Add(basis, IsSharded ? SafeInteger.Multiply(ShareOf(vector), 3) : 0);
        }

        return
        [
            new(MemoryKind.Basis, basis),

            // Derivatives with respect to the parameters wait for a sweep's end as well.
            new(MemoryKind.Graphs, Sum([graphs, tangents, activations.Sweep(sizes[0], stage.ReusesTangents), vector])),
            new(MemoryKind.Copy, SafeInteger.Add(SafeInteger.Multiply(vector, 2), BuffersOf(stage, products))),
        ];
    }

    /// <summary>Whether products with other stages' blocks go through a stage: then its own part of direction and product is nothing.</summary>
    private static bool LendsSweeps(CurvatureOptions curvature, StageContents stage) => curvature.Scope == CurvatureScope.Stage && stage.Stages > 1;

    private static long? Larger(long? left, long? right) => left is { } a && right is { } b ? Math.Max(a, b) : null;

    /// <summary>The model's inputs on the first stage, the targets on the last, and one micro-batch's gradients of both cuts.</summary>
    private long? BoundaryBytes(StageContents stage)
    {
        long? bytes = 0;
        if (stage.Index == 0)
        {
            bytes = SafeInteger.Add(bytes, Sum(model.Inputs.Select(BatchBytes)));
        }

        if (stage.Index == stage.Stages - 1)
        {
            bytes = SafeInteger.Add(bytes, Sum(model.Targets.Select(BatchBytes)));
        }

        return Sum([bytes, CutBytes(inference, stage.Incoming, microBatches[0]), CutBytes(inference, stage.Outgoing, microBatches[0])]);
    }

    /// <summary>An input or target of a step as data sets give it, before it is rounded.</summary>
    private long? BatchBytes(InputDescription data) =>
        Bytes(ShapeInference.TypeOf(data, ElementTypes.MasterOf(options.DType)), options.Batch);

    /// <summary>The gradients, or tangents, of what crosses a cut.</summary>
    private static long? CutBytes(InferenceResult inferred, IEnumerable<int> values, int samples) =>
        Sum(values
            .Select(value => inferred.Values[value])
            .Where(value => value is { Kind: InferredKind.Tensor or InferredKind.Unknown, Differentiable: true })
            .Select(value => Bytes(value.Type, samples)));

    internal static long? Bytes(TensorType? type, int samples) =>
        type is null ? null : Bytes(TensorBytes.Of(type), samples);

    internal static long? Bytes(Dimension bytes, int samples) =>
        bytes.Evaluate(symbol => symbol == ShapeInference.Batch ? samples : null);

    internal static long? Sum(IEnumerable<long?> terms)
    {
        long? sum = 0;
        foreach (long? term in terms)
        {
            sum = SafeInteger.Add(sum, term);
        }

        return sum;
    }
}

/// <summary>What a stage holds, as far as its memory goes.</summary>
/// <param name="Index">The stage.</param>
/// <param name="Stages">All stages.</param>
/// <param name="Layers">Its layers.</param>
/// <param name="CurvatureRank">Largest eigenpairs kept for it.</param>
/// <param name="Count">The elements of its parameters; null where unknown.</param>
/// <param name="Activations">The tensors of a micro-batch.</param>
/// <param name="ProductActivations">The same where products are taken; null where those compute in the same type.</param>
/// <param name="Incoming">The values that cross the cut before it.</param>
/// <param name="Outgoing">The values that cross the cut after it.</param>
/// <param name="ReusesTangents">Whether products of its curvature keep the graphs of tangents between the two sweeps.</param>
internal sealed record StageContents(
    int Index,
    int Stages,
    IReadOnlyList<int> Layers,
    int CurvatureRank,
    long? Count,
    StageActivations Activations,
    StageActivations? ProductActivations,
    IReadOnlyList<int> Incoming,
    IReadOnlyList<int> Outgoing,
    bool ReusesTangents)
{
    /// <summary>Whether it recomputes its activations.</summary>
    public bool Recomputes { get; init; }

    /// <summary>Whether some of its operations may change what they are given.</summary>
    public bool MayWorkInPlace { get; init; }
}
