using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;

namespace Dho2.Planning;

/// <summary>
/// A dimension: a whole number, a polynomial in symbols such as the batch "N" with whole coefficients, or not known at all.
/// Arithmetic never overflows: what does not fit in 64 bits is unknown.
/// </summary>
public readonly record struct Dimension
{
    private Dimension(EquatableArray<DimensionTerm> terms)
    {
        Terms = terms;
        IsKnown = true;
    }

    /// <summary>The terms of the sum, without zero factors, in the order of their symbols; none for the number 0.</summary>
    public EquatableArray<DimensionTerm> Terms { get; }

    /// <summary>Whether anything is known of it.</summary>
    public bool IsKnown { get; }

    /// <summary>A dimension of which nothing is known; it equals only itself and agrees with everything.</summary>
    public static Dimension Unknown => default;

    /// <summary>The number 1.</summary>
    public static Dimension One { get; } = Of(1);

    /// <summary>Whether it is a plain number.</summary>
    public bool IsNumber => IsKnown && (Terms.Count == 0 || (Terms.Count == 1 && Terms[0].Symbols.Count == 0));

    /// <summary>The number; 0 where it is none.</summary>
    public long Number => IsNumber && Terms.Count == 1 ? Terms[0].Factor : 0;

    /// <summary>A number.</summary>
    public static Dimension Of(long size) =>
        new(size == 0 ? default : new[] { new DimensionTerm(size, default) }.ToEquatableArray());

    /// <summary>A symbol.</summary>
    public static Dimension Of(string symbol) =>
        new(new[] { new DimensionTerm(1, new[] { symbol }.ToEquatableArray()) }.ToEquatableArray());

    /// <summary>The sum of two dimensions; unknown where one is.</summary>
    public static Dimension operator +(Dimension left, Dimension right)
    {
        if (!left.IsKnown || !right.IsKnown)
        {
            return Unknown;
        }

        var sum = new List<DimensionTerm>(left.Terms);
        return AddAll(sum, right.Terms) ? Normalised(sum) : Unknown;
    }

    /// <summary>The difference of two dimensions; unknown where one is.</summary>
    public static Dimension operator -(Dimension left, Dimension right) => left + (right * Of(-1));

    /// <summary>The product of two dimensions; unknown where one is.</summary>
    public static Dimension operator *(Dimension left, Dimension right)
    {
        if (!left.IsKnown || !right.IsKnown)
        {
            return Unknown;
        }

        var product = new List<DimensionTerm>(left.Terms.Count * right.Terms.Count);
        foreach (DimensionTerm a in left.Terms)
        {
            foreach (DimensionTerm b in right.Terms)
            {
                if (!SafeInteger.TryMultiply(a.Factor, b.Factor, out long factor) ||
                    !AddAll(product, [new DimensionTerm(factor, Merge(a.Symbols, b.Symbols))]))
                {
                    return Unknown;
                }
            }
        }

        return Normalised(product);
    }

    /// <summary>
    /// The quotient, rounded towards minus infinity; unknown where a term with symbols does not divide evenly or the
    /// divisor is no positive number.
    /// </summary>
    public Dimension FloorDivide(long divisor)
    {
        if (!IsKnown || divisor <= 0)
        {
            return Unknown;
        }

        var quotient = new List<DimensionTerm>(Terms.Count);
        foreach (DimensionTerm term in Terms)
        {
            if (term.Symbols.Count > 0 && term.Factor % divisor != 0)
            {
                return Unknown;
            }

            long floor = (term.Factor / divisor) - (term.Factor % divisor < 0 ? 1 : 0);
            quotient.Add(term with { Factor = floor });
        }

        return Normalised(quotient);
    }

    /// <summary>The dimension that, times <paramref name="divisor"/>, is this one; unknown where none is certain.</summary>
    public Dimension DivideExactly(Dimension divisor)
    {
        if (!IsKnown || divisor.Terms.Count != 1 || !divisor.IsKnown)
        {
            return Equals(divisor) && IsKnown && Terms.Count > 0 ? One : Unknown;
        }

        DimensionTerm by = divisor.Terms[0];
        var quotient = new List<DimensionTerm>(Terms.Count);
        foreach (DimensionTerm term in Terms)
        {
            if (term.Factor == long.MinValue || term.Factor % by.Factor != 0 || Without(term.Symbols, by.Symbols) is not { } symbols)
            {
                return Unknown;
            }

            quotient.Add(new DimensionTerm(term.Factor / by.Factor, symbols));
        }

        return Normalised(quotient);
    }

    /// <summary>Its number when symbols have the given values; null where it is unknown, a symbol has no value, or it overflows.</summary>
    public long? Evaluate(Func<string, long?> valueOf)
    {
        if (!IsKnown)
        {
            return null;
        }

        long sum = 0;
        foreach (DimensionTerm term in Terms)
        {
            long product = term.Factor;
            foreach (string symbol in term.Symbols)
            {
                if (valueOf(symbol) is not { } value || !SafeInteger.TryMultiply(product, value, out product))
                {
                    return null;
                }
            }

            if (!SafeInteger.TryAdd(sum, product, out sum))
            {
                return null;
            }
        }

        return sum;
    }

    /// <summary>Whether the two are certainly different: both known, and their difference is a number other than 0.</summary>
    public bool CertainlyDiffers(Dimension other)
    {
        Dimension difference = this - other;
        return difference.IsNumber && difference.Number != 0;
    }

    /// <inheritdoc/>
    public override string ToString()
    {
        if (!IsKnown)
        {
            return "?";
        }

        if (Terms.Count == 0)
        {
            return "0";
        }

        var text = new StringBuilder();
        for (int i = Terms.Count - 1; i >= 0; i--)
        {
            DimensionTerm term = Terms[i];
            long factor = term.Factor;
            if (text.Length > 0)
            {
                text.Append(factor < 0 ? " - " : " + ");
                factor = factor == long.MinValue ? factor : Math.Abs(factor);
            }

            if (term.Symbols.Count == 0 || factor != 1)
            {
                text.Append(factor.ToString(CultureInfo.InvariantCulture)).Append(term.Symbols.Count == 0 ? "" : "*");
            }

            text.Append(string.Join("*", term.Symbols));
        }

        return text.ToString();
    }

    private static bool AddAll(List<DimensionTerm> sum, IEnumerable<DimensionTerm> terms)
    {
        foreach (DimensionTerm term in terms)
        {
            int at = sum.FindIndex(t => t.Symbols == term.Symbols);
            if (at < 0)
            {
                sum.Add(term);
            }
            else if (SafeInteger.TryAdd(sum[at].Factor, term.Factor, out long factor))
            {
                sum[at] = term with { Factor = factor };
            }
            else
            {
                return false;
            }
        }

        return true;
    }

    private static Dimension Normalised(List<DimensionTerm> terms)
    {
        terms.RemoveAll(t => t.Factor == 0);
        terms.Sort(static (a, b) => Compare(a.Symbols, b.Symbols));
        return new(terms.ToEquatableArray());
    }

    private static int Compare(EquatableArray<string> a, EquatableArray<string> b)
    {
        for (int i = 0; i < Math.Min(a.Count, b.Count); i++)
        {
            int order = string.CompareOrdinal(a[i], b[i]);
            if (order != 0)
            {
                return order;
            }
        }

        return a.Count.CompareTo(b.Count);
    }

    private static EquatableArray<string> Merge(EquatableArray<string> a, EquatableArray<string> b)
    {
        if (a.Count == 0 || b.Count == 0)
        {
            return a.Count == 0 ? b : a;
        }

        var merged = new List<string>(a);
        merged.AddRange(b);
        merged.Sort(StringComparer.Ordinal);
        return merged.ToEquatableArray();
    }

    private static EquatableArray<string>? Without(EquatableArray<string> symbols, EquatableArray<string> removed)
    {
        var rest = new List<string>(symbols);
        foreach (string symbol in removed)
        {
            if (!rest.Remove(symbol))
            {
                return null;
            }
        }

        return rest.ToEquatableArray();
    }
}

/// <summary>One term of a <see cref="Dimension"/>: a whole number times symbols.</summary>
/// <param name="Factor">The number.</param>
/// <param name="Symbols">The symbols it is multiplied by, in ordinal order; none for the constant term.</param>
public readonly record struct DimensionTerm(long Factor, EquatableArray<string> Symbols);
