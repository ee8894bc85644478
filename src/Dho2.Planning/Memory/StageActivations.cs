using System.Collections.Generic;
using System.Linq;

namespace Dho2.Planning;

/// <summary>The tensors of one micro-batch on a stage: what lives until its backward, and what only its forward needs.</summary>
internal sealed class StageActivations
{
    private readonly List<TensorMemory> kept = [];
    private readonly HashSet<int> keptStorages = [];
    private readonly List<TensorMemory> passing = [];
    private readonly List<Dimension> gradients = [];
    private readonly List<Dimension> sweeps = [];
    private readonly List<Dimension> copied = [];
    private int incomingCount;
    private Dimension second = Dimension.Of(0);
    private Dimension tangents = Dimension.Of(0);
    private Dimension arriving = Dimension.Of(0);
    private bool isKnown = true;

    // By the samples of a micro-batch: of them there are two sizes at most, which are asked for again and again.
    private readonly Dictionary<int, long?> keptBytes = [];
    private readonly Dictionary<int, long?> temporaryBytes = [];

    /// <summary>Collects the tensors of a stage.</summary>
    /// <param name="operations">Its operations.</param>
    /// <param name="model">The model.</param>
    /// <param name="inference">What is known of its shapes.</param>
    /// <param name="incoming">The values that cross the cut before it.</param>
    /// <param name="outgoing">The values that cross the cut after it.</param>
    /// <param name="isFirst">Whether it is the first stage.</param>
    /// <param name="isLast">Whether it is the last stage, which computes the loss.</param>
    public static StageActivations Of(
        IEnumerable<int> operations,
        ModelDescription model,
        InferenceResult inference,
        IReadOnlyList<int> incoming,
        IReadOnlyList<int> outgoing,
        bool isFirst,
        bool isLast)
    {
        var activations = new StageActivations();

        // The model's inputs lie in the batch, which is counted once for all micro-batches; those that are rounded first, as copies.
        TensorMemory[] inputs = inference.Storages.Take(isFirst ? model.Inputs.Count : 0).Where(s => s is not null).Select(s => s!.Value).ToArray();
        var rounded = new HashSet<int>(inference.Values.Take(model.Inputs.Count)
            .Select((value, i) => value.DType == DType.BFloat16 && inference.Storages[i] is { } memory ? memory.Storage : -1));
        var elsewhere = new HashSet<int>(inputs.Select(memory => memory.Storage).Where(storage => !rounded.Contains(storage)));
        activations.passing.AddRange(inputs.Where(memory => rounded.Contains(memory.Storage)));
        activations.Keep(incoming.Select(ValueOf), elsewhere);
        activations.incomingCount = activations.kept.Count;
        activations.copied.AddRange(isFirst ? inputs.Select(memory => memory.Bytes) : activations.kept.Select(memory => memory.Bytes));
        activations.Keep(outgoing.Select(ValueOf), elsewhere);

        // An operation that keeps the gradient of its result keeps what came over the cut, where the result crosses it.
        Dictionary<int, Dimension> leaving = [];
        foreach (TensorMemory memory in outgoing.Select(ValueOf).OfType<TensorMemory>())
        {
            leaving[memory.Storage] = memory.Bytes;
        }

        foreach (int operation in operations)
        {
            OperationFacts facts = inference.Operations[operation];
            activations.Add(facts, elsewhere);
            foreach (TensorMemory made in facts.Created.Where(made => facts.SecondSaved != Dimension.Of(0) && leaving.ContainsKey(made.Storage)))
            {
                activations.arriving += leaving[made.Storage];
            }
        }

        if (isLast)
        {
            activations.Add(inference.Loss ?? OperationFacts.Unknown, elsewhere);
        }

        return activations;

        TensorMemory? ValueOf(int value) => inference.Storages[value] is { } memory
            ? memory with { Bytes = inference.Values[value].Type is { } type ? TensorBytes.Of(type) : Dimension.Unknown }
            : null;
    }

    /// <summary>Bytes of what a micro-batch came in with, which is all that is kept of it where activations are recomputed.</summary>
    public long? Inputs(int samples) => MemoryModel.Sum(kept.Take(incomingCount).Select(m => MemoryModel.Bytes(m.Bytes, samples)));

    /// <summary>Bytes of the copy of its inputs that a first forward works on where there is a second.</summary>
    public long? CopiedInputs(int samples) => MemoryModel.Sum(copied.Select(bytes => MemoryModel.Bytes(bytes, samples)));

    /// <summary>Bytes that a micro-batch of so many samples keeps between its forward and its backward.</summary>
    public long? Kept(int samples)
    {
        if (!keptBytes.TryGetValue(samples, out long? bytes))
        {
            keptBytes[samples] = bytes = isKnown ? MemoryModel.Sum(kept.Select(m => MemoryModel.Bytes(m.Bytes, samples))) : null;
        }

        return bytes;
    }

    /// <summary>
    /// Bytes that its graphs keep when the backward is to be differentiated as well, beside the gradients that come and go
    /// over cuts.
    /// </summary>
    public long? Twice(int samples) => MemoryModel.Sum([Kept(samples), MemoryModel.Bytes(second, samples), -MemoryModel.Bytes(arriving, samples)]);

    /// <summary>Bytes that the graph of its tangents keeps, beside those that come over the cut.</summary>
    public long? Tangents(int samples) => MemoryModel.Bytes(tangents, samples);

    /// <summary>
    /// Bytes that a sweep over these graphs needs for a moment: the derivatives of the backward with respect to what the
    /// forward kept wait until the sweep has come back to the forward's own graph; and the gradients around one operation.
    /// </summary>
    public long? Sweep(int samples) => SafeInteger.Add(
        isKnown ? MemoryModel.Sum(kept.Where(m => m.Differentiable).Select(m => MemoryModel.Bytes(m.Bytes, samples))) : null,
        Most(sweeps, samples));

    /// <summary>
    /// Bytes needed for a moment: by the forward, whose intermediate results live to its end, or by the backward, for the
    /// gradients around one operation.
    /// </summary>
    public long? Temporary(int samples)
    {
        if (!temporaryBytes.TryGetValue(samples, out long? bytes))
        {
            temporaryBytes[samples] = bytes = FindTemporary(samples);
        }

        return bytes;
    }

    private long? FindTemporary(int samples)
    {
        long? forward = isKnown
            ? MemoryModel.Sum(passing.Where(m => !keptStorages.Contains(m.Storage)).Select(m => MemoryModel.Bytes(m.Bytes, samples)))
            : null;
        return forward is { } f && Most(gradients, samples) is { } b ? System.Math.Max(f, b) : null;
    }

    // What is needed around one operation at a time: the most of it.
    private static long? Most(List<Dimension> around, int samples)
    {
        long? most = 0;
        foreach (Dimension needed in around)
        {
            most = MemoryModel.Bytes(needed, samples) is { } bytes && most is { } sofar ? System.Math.Max(sofar, bytes) : null;
        }

        return most;
    }

    private void Keep(IEnumerable<TensorMemory?> memories, HashSet<int> elsewhere)
    {
        foreach (TensorMemory memory in memories.Where(m => m is not null).Select(m => m!.Value))
        {
            if (!elsewhere.Contains(memory.Storage) && keptStorages.Add(memory.Storage))
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
        tangents += facts.TangentsSaved;

        // The gradient that comes and the one that goes are of about the size of what the operation made and used.
        Dimension largest = facts.Created.Count > 0 ? facts.Created[facts.Created.Count - 1].Bytes : Dimension.Of(0);
        gradients.Add(largest * Dimension.Of(2));
        sweeps.Add((largest * Dimension.Of(2)) + facts.SweepBytes);
    }
}
