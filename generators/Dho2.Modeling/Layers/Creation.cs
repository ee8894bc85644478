using Dho2.Planning;
using Microsoft.CodeAnalysis;

namespace Dho2.Modeling;

/// <summary>An expression that creates a component, with what its variables hold at that time.</summary>
/// <param name="Operation">The expression.</param>
/// <param name="Created">What it creates.</param>
/// <param name="Name">The name that stands beside it in a list of pairs, or null.</param>
/// <param name="Constants">The variables that it reads.</param>
/// <param name="UsesMembers">Whether it reads instance members with constant values.</param>
/// <param name="Obstacle">Why it cannot be copied, or null.</param>
internal sealed record Creation(
    IOperation Operation, CreatedLayer Created, string? Name, EquatableArray<ConstantSource> Constants, bool UsesMembers, string? Obstacle)
{
    /// <summary>An element of a new array, which nothing was assigned to yet.</summary>
    public static Creation Missing { get; } = new(null!, new CreatedLayer("unknown", null, default, null), null, default, false, "an element of it is never assigned");
}
