using System.Linq;

namespace Dho2.Planning;

/// <summary>A parameter that several layers are, or that several stages use: stored, updated and saved once, by its owner.</summary>
/// <param name="Name">The owner's name of it, such as <c>tokens.weight</c>.</param>
/// <param name="Layer">The layer that owns it, as an index into <see cref="ModelDescription.Layers"/>.</param>
/// <param name="Owner">The stage of that layer.</param>
/// <param name="Shape">Its sizes.</param>
/// <param name="Uses">Where else it is used, in source order.</param>
public sealed record TiePlan(string Name, int Layer, int Owner, EquatableArray<long> Shape, EquatableArray<TiedUse> Uses)
{
    /// <summary>The stages that have a mirror of it, in ascending order.</summary>
    public EquatableArray<int> Mirrors => Uses.Select(use => use.Stage).Where(stage => stage != Owner).Distinct().OrderBy(stage => stage).ToEquatableArray();

    /// <summary>The number of its elements.</summary>
    public long Count => Shape.Aggregate(1L, (count, size) => count * size);
}

/// <summary>A place where a tied parameter is used.</summary>
/// <param name="Stage">The stage.</param>
/// <param name="Layer">The layer whose parameter it is too, as an index; -1 where <c>forward</c> reads it.</param>
/// <param name="Name">The name that it has as that layer's parameter, such as <c>head.weight</c>; the owner's where <c>forward</c> reads it.</param>
/// <param name="Operation">The operation that reads it, as an index; -1 for a layer's.</param>
public sealed record TiedUse(int Stage, int Layer, string Name, int Operation);
