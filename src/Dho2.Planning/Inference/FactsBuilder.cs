using System.Collections.Generic;

namespace Dho2.Planning.Inference;

/// <summary>Adds up what one operation of a model costs, over everything that happens inside it.</summary>
internal sealed class FactsBuilder
{
    private readonly List<TensorMemory> saved = [];
    private readonly List<TensorMemory> created = [];
    private readonly List<SweepStep> steps = [];

    // Of the operation inside that is going on.
    private readonly List<int> uses = [];
    private readonly List<int> passes = [];
    private readonly List<TensorMemory> shared = [];
    private readonly List<TensorMemory> made = [];
    private Dimension apart = Dimension.Of(0);
    private Dimension momentary = Dimension.Of(0);
    private Dimension work = Dimension.Of(0);
    private Dimension second = Dimension.Of(0);
    private Dimension tangents = Dimension.Of(0);
    private bool keepsGradient;
    private bool savedIsKnown = true;
    private bool? hasSecondDerivative = true;

    public void AddWork(Dimension operations) => work += operations;

    /// <summary>An operation inside begins.</summary>
    /// <param name="operands">The memory of its operands.</param>
    public void BeginStep(IEnumerable<int> operands)
    {
        uses.Clear();
        uses.AddRange(operands);
    }

    /// <summary>Notes what the backward needs.</summary>
    /// <param name="memory">Its memory.</param>
    /// <param name="apart">The bytes of the view through which the operation takes it; null where it takes it as it is.</param>
    public void AddSaved(TensorMemory memory, Dimension? apart = null)
    {
        if (!saved.Contains(memory))
        {
            saved.Add(memory);
        }

        if (!memory.Differentiable)
        {
            return;
        }

        if (apart is { } view)
        {
            this.apart += view;
        }
        else if (!shared.Contains(memory))
        {
            shared.Add(memory);
        }
    }

    public void AddCreated(TensorMemory memory)
    {
        created.Add(memory);
        made.Add(memory);
    }

    /// <summary>Notes an operand whose gradient is the result's own.</summary>
    /// <param name="storage">Its memory.</param>
    public void Passes(int storage) => passes.Add(storage);

    /// <summary>One operation inside is through: what is noted from now on belongs to the next.</summary>
    public void EndStep()
    {
        if (shared.Count > 0 || made.Count > 0 || apart != Dimension.Of(0) || momentary != Dimension.Of(0))
        {
            steps.Add(new(
                uses.ToEquatableArray(), made.ToEquatableArray(), shared.ToEquatableArray(), apart, momentary, keepsGradient, passes.ToEquatableArray()));
        }

        uses.Clear();
        passes.Clear();
        shared.Clear();
        made.Clear();
        apart = Dimension.Of(0);
        momentary = Dimension.Of(0);
        keepsGradient = false;
    }

    /// <summary>What seemed to be memory of its own lies in that of another tensor.</summary>
    public void Redirect(int storage, TensorMemory target)
    {
        created.RemoveAll(c => c.Storage == storage);
        made.RemoveAll(c => c.Storage == storage);
        shared.RemoveAll(s => s.Storage == storage);
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
        keepsGradient |= bytes != Dimension.Of(0);
    }

    /// <summary>Notes what a graph of tangents keeps, where that of the backward keeps nothing.</summary>
    /// <param name="bytes">How much.</param>
    public void AddTangents(Dimension bytes) => tangents += bytes;

    /// <summary>
    /// Notes what the formula of its second derivative needs for a moment, the derivatives with respect to what is kept included,
    /// beside two gradients as large as the result.
    /// </summary>
    /// <param name="bytes">How much.</param>
    public void AddSweep(Dimension bytes) => momentary += bytes;

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
        keepsGradient = true;
        momentary = Dimension.Unknown;
        AddCreated(TensorMemory.Unknown);
        hasSecondDerivative = hasSecondDerivative == false ? false : null;
    }

    public OperationFacts Build()
    {
        EndStep();
        return new(
            work,
            savedIsKnown ? saved.ToEquatableArray() : null,
            created.ToEquatableArray(),
            second,
            tangents,
            steps.ToEquatableArray(),
            hasSecondDerivative);
    }
}
