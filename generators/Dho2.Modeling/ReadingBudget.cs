namespace Dho2.Modeling;

/// <summary>
/// What reading one pipeline class may cost, over the class and all modules inside it: half-typed loops and methods that
/// call each other may never end, and within one another they would multiply.
/// </summary>
internal sealed class ReadingBudget
{
    // A module that was not read before, with all that it is made of, costs as much as so many rounds of a loop.
    private const int StepsOfModule = 16;

    private int construction = 20_000;
    private int rounds = 4096;

    /// <summary>The most rounds that one loop of a forward may have.</summary>
    public const int MaximalRounds = 4096;

    /// <summary>Takes one round of a loop in a constructor, or one call of a method that makes modules; false where nothing is left.</summary>
    public bool TryStep() => --construction >= 0;

    /// <summary>Takes the reading of one more module class; false where nothing is left.</summary>
    public bool TryReadModule() => (construction -= StepsOfModule) >= 0;

    /// <summary>Takes so many rounds of a loop in a forward; false where that is too much.</summary>
    public bool TryUnroll(int count) => count <= MaximalRounds && (rounds -= count) >= 0;
}
