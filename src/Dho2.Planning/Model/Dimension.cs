using System;
using System.Globalization;
using System.Linq;

namespace Dho2.Planning;

/// <summary>A dimension: a whole number times symbols such as the batch "N", or not known at all.</summary>
public readonly record struct Dimension
{
    private Dimension(long factor, EquatableArray<string> symbols, bool known)
    {
        Factor = factor;
        Symbols = symbols;
        IsKnown = known;
    }

    /// <summary>The numeric factor.</summary>
    public long Factor { get; }

    /// <summary>The symbols it is multiplied by, in ordinal order.</summary>
    public EquatableArray<string> Symbols { get; }

    /// <summary>Whether anything is known of it.</summary>
    public bool IsKnown { get; }

    /// <summary>A dimension of which nothing is known; it equals only itself and agrees with everything.</summary>
    public static Dimension Unknown => default;

    /// <summary>Whether it is a plain number.</summary>
    public bool IsNumber => IsKnown && Symbols.Count == 0;

    /// <summary>A number.</summary>
    public static Dimension Of(long size) => new(size, default, true);

    /// <summary>A symbol.</summary>
    public static Dimension Of(string symbol) => new(1, new[] { symbol }.ToEquatableArray(), true);

    /// <summary>The product of two dimensions; unknown where one is.</summary>
    public static Dimension operator *(Dimension left, Dimension right) =>
        left.IsKnown && right.IsKnown
            ? new(checked(left.Factor * right.Factor), left.Symbols.Concat(right.Symbols).OrderBy(s => s, StringComparer.Ordinal).ToEquatableArray(), true)
            : Unknown;

    /// <inheritdoc/>
    public override string ToString() =>
        !IsKnown ? "?"
        : Symbols.Count == 0 ? Factor.ToString(CultureInfo.InvariantCulture)
        : (Factor == 1 ? "" : Factor.ToString(CultureInfo.InvariantCulture) + "*") + string.Join("*", Symbols);
}
