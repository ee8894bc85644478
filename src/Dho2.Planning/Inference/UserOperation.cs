using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;

namespace Dho2.Planning.Inference;

/// <summary>Runs an operation that its user described by <see cref="OperationAttribute"/>.</summary>
internal static class UserOperation
{
    /// <summary>The argument that carries the signature.</summary>
    public const string Signature = "@signature";

    /// <summary>The argument that carries the work.</summary>
    public const string Work = "@work";

    /// <summary>The argument that carries the bytes that are saved.</summary>
    public const string SavedBytes = "@saved";

    /// <summary>The argument that carries whether there is a second derivative.</summary>
    public const string HasSecondDerivative = "@second";

    private static readonly string[] Arrow = ["->"];

    /// <summary>The result by the signature; null where the operation has none.</summary>
    public static Symbolic? Run(CallContext c)
    {
        if (c.Arguments.Get(Signature) is not SymbolicText { Value: { } signature })
        {
            return null;
        }

        try
        {
            return Run(c, signature);
        }
        catch (FormatException exception)
        {
            return c.RefuseArgument($"The description of `{c.Name}` cannot be read: {exception.Message}");
        }
    }

    private static Symbolic Run(CallContext c, string signature)
    {
        string[] sides = signature.Split(Arrow, StringSplitOptions.None);
        if (sides.Length != 2)
        {
            throw new FormatException($"\"{signature}\" must have one arrow, as in \"N, C -> N, 2*C\"");
        }

        SymbolicTensor[] tensors = c.Arguments.All.OfType<SymbolicTensor>().ToArray();
        string[] patterns = sides[0].Split(';');
        var symbols = new Dictionary<string, Dimension>(StringComparer.Ordinal);
        IReadOnlyList<Dimension>? leading = null;
        bool isKnown = tensors.Length == patterns.Length;
        for (int i = 0; i < Math.Min(tensors.Length, patterns.Length); i++)
        {
            if (tensors[i].Shape is not { } shape)
            {
                isKnown = false;
                continue;
            }

            if (Bind(patterns[i], shape, symbols, ref leading) is { } mismatch)
            {
                return c.RefuseShape($"`{c.Name}` takes ({patterns[i].Trim()}), gets {tensors[i]}: {mismatch}");
            }
        }

        Dimension? ValueOf(string name) => symbols.TryGetValue(name, out Dimension bound) ? bound
            : c.Arguments.Has(name) && c.Arguments.Get(name) is SymbolicInteger integer ? integer.Value
            : c.Arguments.Has(name) || !isKnown ? Dimension.Unknown
            : null;
        bool differentiable = tensors.Any(t => t.Differentiable);
        SymbolicTensor result = c.New(isKnown ? ResultOf(sides[1], leading, ValueOf) : null, tensors.Length > 0 ? tensors[0].Type : null, differentiable);
        c.Facts.AddWork(c.Arguments.Get(Work) is SymbolicText { Value: { } work } ? DimensionExpression.Evaluate(work, ValueOf) : Dimension.Unknown);
        if (c.Arguments.Get(SavedBytes) is SymbolicText { Value: { } saved })
        {
            c.SaveBytes(DimensionExpression.Evaluate(saved, ValueOf));
        }
        else if (differentiable)
        {
            c.Facts.SavesUnknown();
        }

        c.Facts.AddSecond(differentiable ? Dimension.Unknown : Dimension.Of(0));
        c.Facts.HasSecondDerivative(c.Arguments.Get(HasSecondDerivative) is SymbolicBoolean { Value: { } second } ? second : null);
        return result;
    }

    /// <summary>Gives symbols their sizes; says what does not agree.</summary>
    private static string? Bind(string pattern, EquatableArray<Dimension> shape, Dictionary<string, Dimension> symbols, ref IReadOnlyList<Dimension>? leading)
    {
        List<string> names = NamesOf(pattern);
        bool isOpen = names.Count > 0 && names[0] == "...";
        int count = isOpen ? names.Count - 1 : names.Count;
        if (isOpen ? shape.Count < count : shape.Count != count)
        {
            return $"it has {shape.Count} dimensions, not {(isOpen ? "at least " : "")}{count}";
        }

        if (isOpen)
        {
            leading ??= shape.Take(shape.Count - count).ToArray();
            names.RemoveAt(0);
        }

        for (int i = 0; i < count; i++)
        {
            Dimension size = shape[shape.Count - count + i];
            string name = names[i];
            if (name == "_")
            {
                continue;
            }

            Dimension? wanted = long.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out long number) ? Dimension.Of(number)
                : symbols.TryGetValue(name, out Dimension bound) ? bound
                : null;
            if (wanted?.CertainlyDiffers(size) == true)
            {
                return $"{name} is {(wanted.Value.ToString() == name ? "" : wanted + " and ")}not {size}";
            }

            if (wanted is null || !wanted.Value.IsKnown)
            {
                symbols[name] = size;
            }
        }

        return null;
    }

    private static List<Dimension> ResultOf(string pattern, IReadOnlyList<Dimension>? leading, Func<string, Dimension?> valueOf)
    {
        var shape = new List<Dimension>();
        foreach (string name in NamesOf(pattern))
        {
            if (name == "...")
            {
                shape.AddRange(leading ?? throw new FormatException("the result has leading dimensions (...), but no parameter has"));
            }
            else
            {
                shape.Add(DimensionExpression.Evaluate(name, valueOf));
            }
        }

        return shape;
    }

    private static List<string> NamesOf(string pattern) =>
        pattern.Trim().Trim('(', ')').Split(',').Select(name => name.Trim()).Where(name => name.Length > 0).ToList();
}
