using System;
using System.Collections.Generic;
using System.Linq;

namespace Dho2.Planning;

/// <summary>
/// Prices the memory of every stage of a plan, kind by kind, in whole bytes. A term that depends on something unknown is
/// itself unknown, never guessed.
/// </summary>
internal static class MemoryModel
{
    // The basis of an estimate is float32 whatever the model's type.
    private const int BasisElement = 4;

    /// <summary>Puts the memory of each stage into a plan whose stages, cuts, micro-batches and schedule are settled.</summary>
    public static Plan Fill(Plan plan, InferenceResult inference)
    {
        ScheduleSimulation simulation = ScheduleSimulator.Run(plan.Schedule, ScheduleCosts.Uniform(plan.Stages.Count, 1, 2));
        long? total = plan.Stages.Aggregate((long?)0, (sum, stage) => SafeInteger.Add(sum, Elements(stage)));
        return plan with
        {
            Stages = plan.Stages
                .Select(stage => stage with { Memory = TermsOf(stage, plan, inference, simulation.MaxInFlight, total).ToEquatableArray() })
                .ToEquatableArray(),
        };
    }

    private static IEnumerable<MemoryTerm> TermsOf(
        StagePlan stage, Plan plan, InferenceResult inference, EquatableArray<int> inFlight, long? total)
    {
        ModelOptions options = plan.Options;
        long? vector = SafeInteger.Multiply(Elements(stage), ElementTypes.SizeOf(options.DType));
        long? buffers = BuffersOf(stage, inference);
        int microBatch = plan.MicroBatches.Count == 0 ? 0 : plan.MicroBatches.Max();
        OperationFacts[] facts = FactsOf(stage, plan, inference);

        yield return new(MemoryKind.Parameters, SafeInteger.Add(vector, buffers));
        yield return new(MemoryKind.Gradients, vector);
        yield return new(MemoryKind.Optimizer, SafeInteger.Multiply(vector, options.Base switch
        {
            BaseKind.Sgd => 0,
            BaseKind.Adam => 2,
            _ => 1,
        }));
        if (stage.CurvatureRank > 0)
        {
            int pairs = stage.CurvatureRank + options.Curvature!.Smallest;

            // Eigenvectors, and what is left of the momentum outside them after a refresh.
            yield return new(MemoryKind.Curvature, SafeInteger.Multiply(vector, pairs + 1));
            yield return new(MemoryKind.Estimate, EstimateOf(stage, options, facts, vector, buffers, pairs, total));
        }

        if (options.Admm is not null)
        {
            yield return new(MemoryKind.Admm, SafeInteger.Multiply(vector, 2));
        }

        CutValue[] incoming = stage.Index > 0 ? [.. plan.Cuts[stage.Index - 1].Values] : [];
        CutValue[] outgoing = stage.Index < plan.Cuts.Count ? [.. plan.Cuts[stage.Index].Values] : [];
        SavedTensor[]? saved = SavedBy(facts);

        // A cut's values stay until their backward, whether or not an operation saves them too.
        IEnumerable<SavedTensor> held = incoming.Concat(outgoing)
            .Where(value => inference.Values[value.Value].Storage is not null)
            .Select(value => new SavedTensor(inference.Values[value.Value].Storage!.Value, BytesOf(value)));
        long? perMicroBatch = saved is null ? null : Sum(saved.Concat(held).GroupBy(s => s.Storage).Select(g => g.First().Bytes), microBatch);
        yield return new(MemoryKind.Activations, SafeInteger.Multiply(perMicroBatch, stage.Index < inFlight.Count ? inFlight[stage.Index] : 0));
        yield return new(MemoryKind.Temporary, LargestTemporary(facts, microBatch));
        yield return new(MemoryKind.Boundary, Sum(incoming.Concat(outgoing).Where(v => v.Differentiable).Select(BytesOf), microBatch));
    }

    // While an estimate is made: a twin of the stage with its own parameters and gradients, the basis with its work
    // vector, the new eigenvectors beside the old, and the graphs of all micro-batches of the curvature batch.
    private static long? EstimateOf(
        StagePlan stage, ModelOptions options, OperationFacts[] facts, long? vector, long? buffers, int pairs, long? total)
    {
        CurvatureOptions curvature = options.Curvature!;
        long? dimension = curvature.Scope == CurvatureScope.Global ? total : Elements(stage);
        if (dimension is not { } size || SavedBy(facts) is not { } saved)
        {
            return null;
        }

        long order = Math.Min(size, Math.Max(4L * pairs, size > 0 ? (long)Math.Ceiling(2 * Math.Log(size)) : 0));
        long? basis = SafeInteger.Multiply(SafeInteger.Multiply(Elements(stage), order + 1), BasisElement);
        int batch = curvature.Batch == 0 ? options.Batch : curvature.Batch;
        long? graphs = SafeInteger.Add(
            Sum(saved.GroupBy(s => s.Storage).Select(g => g.First().Bytes), batch),
            Sum(facts.Select(f => f.SecondSaved), batch));
        return new[] { SafeInteger.Multiply(vector, 2 + pairs), buffers, basis, graphs }.Aggregate((long?)0, SafeInteger.Add);
    }

    private static long? Elements(StagePlan stage) =>
        stage.Parameters is { } parameters ? parameters.Aggregate((long?)0, (sum, p) => SafeInteger.Add(sum, CountOf(p))) : null;

    private static long? BuffersOf(StagePlan stage, InferenceResult inference)
    {
        long? bytes = 0;
        foreach (int layer in stage.Layers)
        {
            bytes = inference.Layers[layer].Buffers is { } buffers
                ? buffers.Aggregate(bytes, (sum, b) => SafeInteger.Add(sum, SafeInteger.Multiply(CountOf(b), ElementTypes.SizeOf(b.DType))))
                : null;
        }

        return bytes;
    }

    private static long? CountOf(ParameterPlan parameter) => parameter.Shape.Aggregate((long?)1, (count, size) => SafeInteger.Multiply(count, size));

    private static OperationFacts[] FactsOf(StagePlan stage, Plan plan, InferenceResult inference)
    {
        IEnumerable<OperationFacts> own = stage.Operations.Select(o => inference.Operations[o]);
        return stage.Index == plan.Stages.Count - 1 ? [.. own, inference.Loss ?? OperationFacts.Unknown] : [.. own];
    }

    private static SavedTensor[]? SavedBy(OperationFacts[] facts) =>
        facts.All(f => f.Saved is not null) ? [.. facts.SelectMany(f => f.Saved!.Value)] : null;

    private static Dimension BytesOf(CutValue value) => value.Type is { } type ? TensorBytes.Of(type) : Dimension.Unknown;

    private static long? Sum(IEnumerable<Dimension> sizes, int samples) =>
        sizes.Aggregate((long?)0, (sum, size) => SafeInteger.Add(sum, Evaluate(size, samples)));

    private static long? LargestTemporary(OperationFacts[] facts, int samples)
    {
        long largest = 0;
        foreach (Dimension size in facts.SelectMany(f => f.Temporaries))
        {
            if (Evaluate(size, samples) is not { } bytes)
            {
                return null;
            }

            largest = Math.Max(largest, bytes);
        }

        return largest;
    }

    private static long? Evaluate(Dimension size, int samples) => size.Evaluate(symbol => symbol == ShapeInference.Batch ? samples : null);
}
