using System.Collections.Generic;

namespace Dho2.Planning.Inference;

/// <summary>Adds up what one operation of a model costs, over everything that happens inside it.</summary>
internal sealed class FactsBuilder
{
    private readonly List<SavedTensor> saved = [];
    private readonly List<Dimension> temporaries = [];
    private Dimension work = Dimension.Of(0);
    private Dimension second = Dimension.Of(0);
    private bool savedIsKnown = true;
    private bool? hasSecondDerivative = true;

    public void AddWork(Dimension operations) => work += operations;

    public void AddSaved(SavedTensor tensor)
    {
        if (!saved.Contains(tensor))
        {
            saved.Add(tensor);
        }
    }

    public void AddTemporary(Dimension bytes) => temporaries.Add(bytes);

    public void AddSecond(Dimension bytes) => second += bytes;

    public void LacksSecondDerivative() => hasSecondDerivative = false;

    /// <summary>Something happened whose costs are not known.</summary>
    public void AddUnknown()
    {
        savedIsKnown = false;
        work = Dimension.Unknown;
        second = Dimension.Unknown;
        temporaries.Add(Dimension.Unknown);
        hasSecondDerivative = hasSecondDerivative == false ? false : null;
    }

    public OperationFacts Build() =>
        new(work, savedIsKnown ? saved.ToEquatableArray() : null, temporaries.ToEquatableArray(), second, hasSecondDerivative);
}
