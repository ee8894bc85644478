using System.Collections.Generic;
using System.Linq;

namespace Dho2.Planning;

/// <summary>The tensors of one micro-batch on a stage: what lives until its backward, and what only its forward needs.</summary>
internal sealed class StageActivations
{
    private readonly List<TensorMemory> kept = [];
    private readonly List<TensorMemory> passing = [];
    private readonly List<Dimension> gradients = [];
    private Dimension second = Dimension.Of(0);
    private bool isKnown = true;

    /// <summary>Collects the tensors of a stage.</summary>
    public static StageActivations Of(
        StagePlan stage, ModelDescription model, InferenceResult inference, StageAssignment assignment, EquatableArray<CutPlan> cuts)
    {
        var activations = new StageActivations();

        // The model's inputs lie in the batch, which is counted once for all micro-batches.
        var elsewhere = new HashSet<int>(inference.Storages.Take(stage.Index == 0 ? model.Inputs.Count : 0).Where(s => s is not null).Select(s => s!.Value.Storage));
        foreach (CutPlan cut in cuts.Where(c => c.Index == stage.Index || c.Index == stage.Index - 1))
        {
            activations.Keep(cut.Values.Select(v => inference.Storages[v.Value] is { } memory ? memory with { Bytes = BytesOf(v) } : (TensorMemory?)null), elsewhere);
        }

        foreach (int operation in stage.Operations)
        {
            activations.Add(inference.Operations[operation], elsewhere);
        }

        if (stage.Index == assignment.Stages - 1)
        {
            activations.Add(inference.Loss ?? OperationFacts.Unknown, elsewhere);
        }

        return activations;
    }

    /// <summary>Bytes that a micro-batch of so many samples keeps between its forward and its backward.</summary>
    public long? Kept(int samples) => isKnown ? MemoryModel.Sum(kept.Select(m => MemoryModel.Bytes(m.Bytes, samples))) : null;

    /// <summary>Bytes that its graphs keep when the backward is to be differentiated as well.</summary>
    public long? Twice(int samples) => SafeInteger.Add(Kept(samples), MemoryModel.Bytes(second, samples));

    /// <summary>
    /// Bytes needed for a moment: by the forward, whose intermediate results live to its end, or by the backward, for the
    /// gradients around one operation.
    /// </summary>
    public long? Temporary(int samples)
    {
        var saved = new HashSet<int>(kept.Select(m => m.Storage));
        long? forward = isKnown
            ? MemoryModel.Sum(passing.Where(m => !saved.Contains(m.Storage)).Select(m => MemoryModel.Bytes(m.Bytes, samples)))
            : null;
        long? backward = 0;
        foreach (Dimension gradient in gradients)
        {
            backward = MemoryModel.Bytes(gradient, samples) is { } bytes && backward is { } most ? System.Math.Max(most, bytes) : null;
        }

        return forward is { } f && backward is { } b ? System.Math.Max(f, b) : null;
    }

    private static Dimension BytesOf(CutValue value) => value.Type is { } type ? TensorBytes.Of(type) : Dimension.Unknown;

    private void Keep(IEnumerable<TensorMemory?> memories, HashSet<int> elsewhere)
    {
        foreach (TensorMemory memory in memories.Where(m => m is not null).Select(m => m!.Value))
        {
            if (!elsewhere.Contains(memory.Storage) && !kept.Any(m => m.Storage == memory.Storage))
            {
                kept.Add(memory);
            }
        }
    }

    private void Add(OperationFacts facts, HashSet<int> elsewhere)
    {
        isKnown &= facts.Saved is not null;
        Keep((facts.Saved ?? default).Select(m => (TensorMemory?)m), elsewhere);
        passing.AddRange(facts.Created);
        second += facts.SecondSaved;

        // The gradient that comes and the one that goes are of about the size of what the operation made and used.
        Dimension largest = facts.Created.Count > 0 ? facts.Created[facts.Created.Count - 1].Bytes : Dimension.Of(0);
        gradients.Add(largest * Dimension.Of(2));
    }
}
