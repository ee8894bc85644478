using Dho2.Planning;
using Microsoft.CodeAnalysis;

namespace Dho2.Modeling;

/// <summary>A field or property of a module class that holds a component: a module, a parameter or a buffer.</summary>
internal sealed class LayerEntry(ISymbol member, ITypeSymbol type, SyntaxToken name, int typePosition)
{
    /// <summary>Takes over what was read of a creation.</summary>
    public void Take(Creation creation)
    {
        Creation = creation.Operation;
        Created = creation.Created;
        Constants = creation.Constants;
        UsesMembers = creation.UsesMembers;
        Obstacle ??= creation.Obstacle;
    }

    public ISymbol Member { get; } = member;

    public ITypeSymbol Type { get; } = type;

    /// <summary>The place of the member's name.</summary>
    public SyntaxToken Name { get; } = name;

    /// <summary>Where its type is written: there, names mean types.</summary>
    public int TypePosition { get; } = typePosition;

    /// <summary>The expression that creates it, once it is found.</summary>
    public IOperation? Creation { get; set; }

    /// <summary>Why the creation cannot be copied, or null.</summary>
    public string? Obstacle { get; set; }

    /// <summary>What to do about the obstacle.</summary>
    public string Remedy { get; set; } = "give it an initialiser, or one assignment at the top of the constructor";

    /// <summary>What the creation was read as.</summary>
    public CreatedLayer? Created { get; set; }

    /// <summary>The name it is registered by, where the constructor states one.</summary>
    public string? RegisteredName { get; set; }

    /// <summary>Variables of the constructor that the creation reads.</summary>
    public EquatableArray<ConstantSource> Constants { get; set; }

    /// <summary>Whether the creation reads instance members with constant values.</summary>
    public bool UsesMembers { get; set; }

    /// <summary>The type of the elements of a member that holds several layers; null for a single one.</summary>
    public ITypeSymbol? ElementType { get; init; }

    /// <summary>For an element of a list: its place; -1 for a single layer.</summary>
    public int Element { get; init; } = -1;

    /// <summary>For an element of a list: the name that it has in the list.</summary>
    public string? ElementName { get; init; }

    /// <summary>Whether it is certain that the member holds nothing.</summary>
    public bool IsNull { get; set; }

    /// <summary>The name of the field that holds it in a stage.</summary>
    public string FieldName => Element < 0 ? Member.Name : $"{Member.Name}_{ElementName}";
}

/// <summary>What an expression creates.</summary>
/// <param name="Kind">See <see cref="LayerDescription.Kind"/>.</param>
/// <param name="Type">The type that is created.</param>
/// <param name="Arguments">The factory's arguments.</param>
/// <param name="Body">What is inside.</param>
internal sealed record CreatedLayer(string Kind, ITypeSymbol? Type, EquatableArray<Argument> Arguments, ModuleBody? Body);
