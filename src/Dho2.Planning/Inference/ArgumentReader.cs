using System;
using System.Collections.Generic;
using System.Linq;

namespace Dho2.Planning.Inference;

/// <summary>Reads the arguments of one call by name, in the forms that rules want. What is not known stays not known.</summary>
internal sealed class ArgumentReader
{
    private readonly EquatableArray<Argument> arguments;
    private readonly Func<int, Symbolic> valueOf;

    public ArgumentReader(EquatableArray<Argument> arguments, Func<int, Symbolic> valueOf)
    {
        this.arguments = arguments;
        this.valueOf = valueOf;
    }

    /// <summary>The arguments in order, without the receiver.</summary>
    public IEnumerable<Symbolic> Positional => arguments.Where(a => a.Name != "this").Select(a => Symbolic.Of(a, valueOf));

    /// <summary>All arguments in order, receiver first.</summary>
    public IReadOnlyList<Symbolic> All => arguments.Select(a => Symbolic.Of(a, valueOf)).ToArray();

    /// <summary>The first of the named arguments that is there; null where none is.</summary>
    public Symbolic Get(params string[] names)
    {
        foreach (string name in names)
        {
            foreach (Argument argument in arguments)
            {
                if (argument.Name == name)
                {
                    return Symbolic.Of(argument, valueOf);
                }
            }
        }

        return SymbolicNull.Instance;
    }

    /// <summary>Whether one of the named arguments is there, even as null.</summary>
    public bool Has(params string[] names) => arguments.Any(a => names.Contains(a.Name));

    /// <summary>An integer; the default where it is not given, unknown where it is not known.</summary>
    public Dimension Integer(string name, long defaultValue) => Get(name) switch
    {
        SymbolicInteger integer => integer.Value,
        SymbolicNull => Dimension.Of(defaultValue),
        _ => Dimension.Unknown,
    };

    /// <summary>An integer constant; the default where it is not given, null where it is not known.</summary>
    public long? Constant(string name, long? defaultValue = null) => Get(name) switch
    {
        SymbolicInteger { Value.IsNumber: true } integer => integer.Value.Number,
        SymbolicNull => defaultValue,
        _ => null,
    };

    /// <summary>A floating-point number; the default where it is not given, null where it is not known.</summary>
    public double? Number(string name, double? defaultValue = null) => Get(name) switch
    {
        SymbolicNumber number => number.Value,
        SymbolicInteger { Value.IsNumber: true } integer => integer.Value.Number,
        SymbolicNull => defaultValue,
        _ => null,
    };

    /// <summary>A truth value; the default where it is not given, null where it is not known.</summary>
    public bool? Boolean(string name, bool defaultValue) => Get(name) switch
    {
        SymbolicBoolean boolean => boolean.Value,
        SymbolicNull => defaultValue,
        _ => null,
    };

    /// <summary>The name of an enum member or a text; the default where it is not given, null where it is not known.</summary>
    public string? Text(string name, string defaultValue) => Get(name) switch
    {
        SymbolicText text => text.Value is { } value ? value.Substring(value.LastIndexOf('.') + 1) : null,
        SymbolicNull => defaultValue,
        _ => null,
    };

    /// <summary>Several integers, or one in place of a list; null where not even their number is known.</summary>
    public IReadOnlyList<Dimension>? Integers(params string[] names) => AsIntegers(Get(names));

    /// <summary>Several integer constants; null where one of them is not known or they are not given.</summary>
    public IReadOnlyList<long>? Constants(params string[] names) =>
        AsIntegers(Get(names)) is { } values && values.All(v => v.IsNumber) ? values.Select(v => v.Number).ToArray() : null;

    /// <summary>The dimensions that a value stands for as a shape.</summary>
    public static IReadOnlyList<Dimension>? AsIntegers(Symbolic value) => value switch
    {
        SymbolicInteger integer => [integer.Value],
        SymbolicList list => list.Items.Select(i => i is SymbolicInteger item ? item.Value : Dimension.Unknown).ToArray(),
        _ => null,
    };
}
