using System;
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
    private readonly List<SweepStep> steps = [];
    private readonly List<Dimension> copied = [];
    private int incomingCount;
    private Dimension second = Dimension.Of(0);
    private Dimension tangents = Dimension.Of(0);
    private Dimension arriving = Dimension.Of(0);
    private bool isKnown = true;

    // By the samples of a micro-batch: of them there are two sizes at most, which are asked for again and again.
    private readonly Dictionary<int, long?> keptBytes = [];
    private readonly Dictionary<int, long?> temporaryBytes = [];
    private readonly Dictionary<(int Samples, bool OfTangents), long?> sweepBytes = [];
    private Lazy<Dimension[]> beside = new(() => []);

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
            activations.Add(inference.Operations[operation], elsewhere);
        }

        SweepStep[] own = [.. activations.steps];
        activations.beside = new(() => Beside(own, inference, incoming, isLast ? model.Results : outgoing));
        foreach (SweepStep step in own.Reverse())
        {
            foreach (Dimension bytes in step.Made.Where(made => leaving.ContainsKey(made.Storage)).Select(made => leaving[made.Storage]).ToArray())
            {
                activations.arriving += step.KeepsGradient ? bytes : Dimension.Of(0);

                // A term of a sum has the sum's gradient, unless it has others to add to it.
                foreach (int term in step.Passes.Where(term => UsesOf(term) == 1))
                {
                    leaving[term] = bytes;
                }
            }
        }

        if (isLast)
        {
            activations.Add(inference.Loss ?? OperationFacts.Unknown, elsewhere);
        }

        return activations;

        int UsesOf(int storage) => inference.Operations.Sum(facts => facts.Steps.Sum(step => step.Uses.Count(used => used == storage)));

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
    /// forward kept wait until the sweep has come back to the forward's own graph; and what is there around one operation.
    /// </summary>
    /// <remarks>
    /// A graph is gone through against the order in which it was built. That of the backward was built from the stage's end, so
    /// that it is swept over in the forward's order; that of tangents from its beginning; the forward's own is last.
    /// </remarks>
    /// <param name="samples">The samples of the micro-batch.</param>
    /// <param name="ofTangents">Whether it is the graph of tangents that is swept over.</param>
    public long? Sweep(int samples, bool ofTangents)
    {
        if (!sweepBytes.TryGetValue((samples, ofTangents), out long? bytes))
        {
            sweepBytes[(samples, ofTangents)] = bytes = FindSweep(samples, ofTangents);
        }

        return bytes;
    }

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

    /// <summary>
    /// For each operation the bytes of what lives beside it, such as the straight way past a residual block: a sweep has a gradient of
    /// that as well.
    /// </summary>
    private static Dimension[] Beside(SweepStep[] steps, InferenceResult inference, IReadOnlyList<int> incoming, IReadOnlyList<int> results)
    {
        Dictionary<int, (Dimension Bytes, int Birth, int LastUse)> lives = [];
        Born(StoragesOf(incoming), -1);
        for (int i = 0; i < steps.Length; i++)
        {
            foreach (int storage in steps[i].Uses)
            {
                Use(storage, i);
            }

            Born(steps[i].Made, i);
        }

        foreach (TensorMemory memory in StoragesOf(results))
        {
            Use(memory.Storage, steps.Length);
        }

        ILookup<int, Dimension> begins = lives.Values.ToLookup(life => life.Birth + 1, life => life.Bytes);
        ILookup<int, Dimension> ends = lives.Values.ToLookup(life => life.LastUse, life => life.Bytes);
        var beside = new Dimension[steps.Length];
        Dimension living = Dimension.Of(0);
        for (int i = 0; i < steps.Length; i++)
        {
            living = ends[i].Aggregate(begins[i].Aggregate(living, static (sum, bytes) => sum + bytes), static (sum, bytes) => sum - bytes);
            beside[i] = steps[i].Uses.Distinct()
                .Where(storage => lives.TryGetValue(storage, out var life) && life.Birth < i && life.LastUse > i)
                .Aggregate(living, (sum, storage) => sum - lives[storage].Bytes);
        }

        return beside;

        // Half-typed code may name values that are not there.
        IEnumerable<TensorMemory> StoragesOf(IEnumerable<int> values) =>
            values.Select(value => value >= 0 && value < inference.Storages.Count ? inference.Storages[value] : null).OfType<TensorMemory>();

        void Born(IEnumerable<TensorMemory> memories, int at)
        {
            foreach (TensorMemory memory in memories.Where(memory => memory.Differentiable && !lives.ContainsKey(memory.Storage)))
            {
                lives.Add(memory.Storage, (memory.Bytes, at, at + 1));
            }
        }

        void Use(int storage, int at)
        {
            if (lives.TryGetValue(storage, out var life))
            {
                lives[storage] = life with { LastUse = Math.Max(life.LastUse, at) };
            }
        }
    }

    private long? FindTemporary(int samples)
    {
        long? forward = isKnown
            ? MemoryModel.Sum(passing.Where(m => !keptStorages.Contains(m.Storage)).Select(m => MemoryModel.Bytes(m.Bytes, samples)))
            : null;
        return forward is { } f && Most(gradients, samples) is { } b ? Math.Max(f, b) : null;
    }

    private long? FindSweep(int samples, bool ofTangents)
    {
        IEnumerable<int> order = Enumerable.Range(0, steps.Count);
        long? forwards = MostOfSweep(samples, order, withFormulas: !ofTangents);
        return !ofTangents ? forwards
            : forwards is { } f && MostOfSweep(samples, order.Reverse(), withFormulas: true) is { } b ? Math.Max(f, b)
            : null;
    }

    private long? MostOfSweep(int samples, IEnumerable<int> order, bool withFormulas)
    {
        if (!isKnown)
        {
            return null;
        }

        HashSet<int> seen = [];
        long? waiting = 0;
        long? most = 0;
        foreach (int index in order)
        {
            SweepStep step = steps[index];
            long? own = SafeInteger.Add(
                MemoryModel.Bytes(step.Apart, samples),
                MemoryModel.Sum(step.Shared.Where(memory => seen.Add(memory.Storage)).Select(memory => MemoryModel.Bytes(memory.Bytes, samples))));

            // Beside the loss there is nothing.
            long? past = index < beside.Value.Length ? MemoryModel.Bytes(beside.Value[index], samples) : 0;
            long? formula = withFormulas ? MemoryModel.Bytes(step.Momentary, samples) : 0;
            long? around = own is { } o && formula is { } m ? Math.Max(o, m) : null;
            around = MemoryModel.Sum([around, SafeInteger.Multiply(MemoryModel.Bytes(step.Result, samples), 2), past, waiting]);
            most = around is { } now && most is { } before ? Math.Max(now, before) : null;
            waiting = SafeInteger.Add(waiting, own);
        }

        return most;
    }

    // What is needed around one operation at a time: the most of it.
    private static long? Most(List<Dimension> around, int samples)
    {
        long? most = 0;
        foreach (Dimension needed in around)
        {
            most = MemoryModel.Bytes(needed, samples) is { } bytes && most is { } sofar ? Math.Max(sofar, bytes) : null;
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
        steps.AddRange(facts.Steps);
    }
}
