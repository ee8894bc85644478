using System.Collections.Generic;

namespace Dho2.Planning.Inference;

/// <summary>Adds up what one operation of a model costs, over everything that happens inside it.</summary>
internal sealed class FactsBuilder
{
    private readonly List<TensorMemory> saved = [];
    private readonly List<TensorMemory> created = [];
    private Dimension work = Dimension.Of(0);
    private Dimension second = Dimension.Of(0);
    private Dimension tangents = Dimension.Of(0);
    private Dimension sweep = Dimension.Of(0);
    private bool savedIsKnown = true;
    private bool? hasSecondDerivative = true;

    public void AddWork(Dimension operations) => work += operations;

    public void AddSaved(TensorMemory memory)
    {
        if (!saved.Contains(memory))
        {
            saved.Add(memory);
        }
    }

    public void AddCreated(TensorMemory memory) => created.Add(memory);

    /// <summary>What seemed to be memory of its own lies in that of another tensor.</summary>
    public void Redirect(int storage, TensorMemory target)
    {
        created.RemoveAll(c => c.Storage == storage);
        if (saved.RemoveAll(s => s.Storage == storage) > 0)
        {
            AddSaved(target);
        }
    }

    /// <summary>Notes what graphs of the backward and of tangents keep, for the backward through them.</summary>
    /// <param name="bytes">Of either.</param>
    public void AddSecond(Dimension bytes)
    {
        second += bytes;
        tangents += bytes;
    }

    /// <summary>Notes what a graph of tangents keeps, where that of the backward keeps nothing.</summary>
    /// <param name="bytes">How much.</param>
    public void AddTangents(Dimension bytes) => tangents += bytes;

    /// <summary>Notes what going through its second derivative needs for a moment, beside gradients as large as the result.</summary>
    /// <param name="bytes">How much.</param>
    public void AddSweep(Dimension bytes) => sweep += bytes;

    public void LacksSecondDerivative() => hasSecondDerivative = false;

    /// <summary>Takes down what is known of a second derivative; null for nothing.</summary>
    public void HasSecondDerivative(bool? exists) => hasSecondDerivative = (hasSecondDerivative, exists) switch
    {
        (false, _) or (_, false) => false,
        (true, true) => true,
        _ => null,
    };

    /// <summary>What the backward needs is not known.</summary>
    public void SavesUnknown() => savedIsKnown = false;

    /// <summary>Something happened whose costs are not known.</summary>
    public void AddUnknown()
    {
        savedIsKnown = false;
        work = Dimension.Unknown;
        second = Dimension.Unknown;
        tangents = Dimension.Unknown;
        sweep = Dimension.Unknown;
        created.Add(TensorMemory.Unknown);
        hasSecondDerivative = hasSecondDerivative == false ? false : null;
    }

    public OperationFacts Build() =>
        new(work, savedIsKnown ? saved.ToEquatableArray() : null, created.ToEquatableArray(), second, tangents, sweep, hasSecondDerivative);
}
