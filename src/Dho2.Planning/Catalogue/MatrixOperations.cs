using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Planning.Inference;

namespace Dho2.Planning.Catalogue;

/// <summary>Products of matrices and vectors.</summary>
internal static class MatrixOperations
{
    public static void AddTo(RuleTable table)
    {
        table.Add("matmul", static c => Multiply(c, c.Input, c.Tensor(c.Arguments.Get("target", "other"))));
        table.Add("mm", static c => Ranked(c, 2, 2, "target", "mat2"));
        table.Add("bmm", static c => Ranked(c, 3, 3, "batch2"));
        table.Add("mv", static c => Ranked(c, 2, 1, "target", "vec"));
        table.Add("dot", static c => Ranked(c, 1, 1, "target", "other", "tensor"));
        table.Add("outer", Outer);
        table.Add("ger", Outer);
        table.AddWithInPlace("addmm", static c => Added(c, "mat1", "mat2", 2));
        table.AddWithInPlace("baddbmm", static c => Added(c, "batch1", "batch2", 3));
        table.Add("linear", static c => Linear(c, c.Input, c.Tensor(c.Arguments.Get("weights", "weight")), c.Arguments.Get("bias")));
        table.Add("einsum", Einsum);
    }

    /// <summary>A product by the rules of <c>matmul</c>: vectors are promoted, leading dimensions broadcast.</summary>
    public static Symbolic Multiply(CallContext c, SymbolicTensor a, SymbolicTensor b)
    {
        bool differentiable = a.Differentiable || b.Differentiable;
        if (a.Shape is not { } left || b.Shape is not { } right)
        {
            c.Facts.AddUnknown();
            return c.New(null, a.Type ?? b.Type, differentiable);
        }

        if (left.Count == 0 || right.Count == 0)
        {
            return c.RefuseShape($"`{c.Name}` needs at least one dimension on both sides, gets {a} and {b}");
        }

        if (a.Type is { } leftType && b.Type is { } rightType && leftType != rightType)
        {
            return c.RefuseArgument($"`{c.Name}` needs equal element types, gets {ElementTypes.NameOf(leftType)} and {ElementTypes.NameOf(rightType)}");
        }

        Dimension inner = left[left.Count - 1];
        Dimension other = right[right.Count == 1 ? 0 : right.Count - 2];
        if (inner.CertainlyDiffers(other))
        {
            return c.RefuseShape($"`{c.Name}` cannot multiply {a} and {b}: {inner} columns against {other} rows");
        }

        if (!Broadcasting.TryBroadcast(Leading(left), Leading(right), out EquatableArray<Dimension> batch, out _))
        {
            return c.RefuseShape($"`{c.Name}` cannot multiply {a} and {b}: their leading dimensions do not agree");
        }

        IEnumerable<Dimension> shape = batch;
        if (left.Count > 1)
        {
            shape = shape.Append(left[left.Count - 2]);
        }

        if (right.Count > 1)
        {
            shape = shape.Append(right[right.Count - 1]);
        }

        SymbolicTensor result = c.New(shape, a.Type, differentiable);
        c.Facts.AddWork(result.Count * inner * Dimension.Of(2));
        SaveProduct(c, a, b, result);
        return result;
    }

    /// <summary>A linear map of the last dimension: <paramref name="weight"/> has the shape (out, in).</summary>
    public static Symbolic Linear(CallContext c, SymbolicTensor x, SymbolicTensor weight, Symbolic bias)
    {
        bool differentiable = x.Differentiable || weight.Differentiable || bias.Differentiable;
        if (x.Shape is not { } shape || weight.Shape is not { } matrix)
        {
            c.Facts.AddUnknown();
            return c.New(null, x.Type, differentiable);
        }

        if (shape.Count == 0 || matrix.Count is < 1 or > 2)
        {
            return c.RefuseShape($"`{c.Name}` cannot map {x} by {weight}");
        }

        Dimension features = shape[shape.Count - 1];
        Dimension expected = matrix[matrix.Count - 1];
        if (features.CertainlyDiffers(expected))
        {
            return c.RefuseShape($"{c.Describe("Linear")} expects {expected} features, gets {features} {c.Origin(x)}");
        }

        if (c.RefuseMixedTypes(x, weight) is { } refused)
        {
            return refused;
        }

        IEnumerable<Dimension> leading = shape.Take(shape.Count - 1);
        SymbolicTensor result = c.New(matrix.Count == 2 ? leading.Append(matrix[0]) : leading, x.Type, differentiable);
        c.Facts.AddWork(result.Count * features * Dimension.Of(2));
        SaveProduct(c, x, weight, result);
        return result;
    }

    private static void SaveProduct(CallContext c, SymbolicTensor a, SymbolicTensor b, SymbolicTensor result)
    {
        // With leading dimensions both factors are taken as other shapes, which for `bmm` they have.
        bool reshapes = c.Name != "bmm" && (a.Rank is not <= 2 || b.Rank is not <= 2);

        // A matrix takes all rows of the other at once; of two that both have leading dimensions those become one.
        int apart = a.Rank is > 2 && b.Rank is > 2 ? 2 : 1;
        if (b.Differentiable)
        {
            Save(a);
        }

        if (a.Differentiable)
        {
            Save(b);
        }

        // The gradient of a product is multiplied with either factor for the other's: once more it is needed only for a factor
        // that has a gradient itself. Data have none.
        if (a.Differentiable && b.Differentiable)
        {
            c.Facts.AddSecond(result.Bytes);
        }
        else if (result.Differentiable)
        {
            c.Facts.AddTangents(result.Bytes);
        }

        void Save(SymbolicTensor factor)
        {
            if (!reshapes)
            {
                c.Save(factor);
            }
            else if (factor.Rank is { } rank && !Strides.AreOne(factor, Math.Max(0, rank - apart)))
            {
                // Dimensions that do not lie as one take a copy, and the copy is kept.
                c.SaveInner(factor.Bytes);
            }
            else
            {
                c.SaveView(factor);
            }
        }
    }

    private static EquatableArray<Dimension> Leading(EquatableArray<Dimension> shape) => shape.Take(System.Math.Max(0, shape.Count - 2)).ToEquatableArray();

    private static Symbolic Ranked(CallContext c, int left, int right, params string[] names)
    {
        SymbolicTensor a = c.Input;
        SymbolicTensor b = c.Tensor(c.Arguments.Get(names));
        if ((a.Rank is { } ra && ra != left) || (b.Rank is { } rb && rb != right))
        {
            return c.RefuseShape($"`{c.Name}` needs {left} and {right} dimensions, gets {a} and {b}");
        }

        // Unlike matmul, bmm does not broadcast.
        return left == 3 && a.Shape is { } l && b.Shape is { } r && l[0].CertainlyDiffers(r[0])
            ? c.RefuseShape($"`{c.Name}` needs equal batches, gets {a} and {b}")
            : Multiply(c, a, b);
    }

    private static Symbolic Outer(CallContext c)
    {
        SymbolicTensor a = c.Input;
        SymbolicTensor b = c.Tensor(c.Arguments.Get("vec2", "other"));
        if (a.Shape is not { } left || b.Shape is not { } right)
        {
            return c.Unknown();
        }

        if (left.Count != 1 || right.Count != 1)
        {
            return c.RefuseShape($"`{c.Name}` needs two vectors, gets {a} and {b}");
        }

        SymbolicTensor result = c.New([left[0], right[0]], TypePromotion.Promote([a, b]), a.Differentiable || b.Differentiable);
        c.Facts.AddWork(result.Count);
        SaveProduct(c, a, b, result);
        return result;
    }

    private static Symbolic Added(CallContext c, string first, string second, int rank)
    {
        SymbolicTensor a = c.Tensor(c.Arguments.Get(first));
        SymbolicTensor b = c.Tensor(c.Arguments.Get(second));
        SymbolicTensor added = c.Input;
        if ((a.Rank is { } ra && ra != rank) || (b.Rank is { } rb && rb != rank))
        {
            return c.RefuseShape($"`{c.Name}` needs factors with {rank} dimensions, gets {a} and {b}");
        }

        if (rank == 3 && a.Shape is { } l && b.Shape is { } r && l[0].CertainlyDiffers(r[0]))
        {
            return c.RefuseShape($"`{c.Name}` needs equal batches, gets {a} and {b}");
        }

        if (Multiply(c, a, b) is not SymbolicTensor { Shape: { } shape } product || added.Shape is not { } own)
        {
            return SymbolicUnknown.Value;
        }

        bool fits = Broadcasting.TryBroadcast(own, shape, out EquatableArray<Dimension> both, out _) && both.Count == shape.Count &&
            !both.Zip(shape, static (x, y) => x.CertainlyDiffers(y)).Any(differs => differs);
        return !fits ? c.RefuseShape($"`{c.Name}` cannot add {added} to a product of {product}")
            : c.RefuseMixedTypes(added, product) ?? (product with { RequiresGradient = product.Differentiable || added.Differentiable });
    }

    private static Symbolic Einsum(CallContext c)
    {
        string? equation = (c.Arguments.Get("equation") as SymbolicText)?.Value;
        SymbolicTensor[]? tensors = (c.Arguments.Get("tensors") as SymbolicList)?.Items.Select(c.Tensor).ToArray();
        if (equation is null || tensors is null || equation.Contains('.'))
        {
            return c.Unknown();
        }

        string[] sides = equation.Replace(" ", "").Split(["->"], System.StringSplitOptions.None);
        string[] operands = sides[0].Split(',');
        if (operands.Length != tensors.Length || sides.Length > 2)
        {
            return c.RefuseArgument($"`einsum` names {operands.Length} operands in \"{equation}\", gets {tensors.Length}", "equation");
        }

        var sizes = new Dictionary<char, Dimension>();
        for (int i = 0; i < operands.Length; i++)
        {
            if (tensors[i].Shape is not { } shape)
            {
                return c.Unknown();
            }

            if (shape.Count != operands[i].Length)
            {
                return c.RefuseShape($"`einsum` names {operands[i].Length} dimensions in \"{operands[i]}\", gets {tensors[i]}", "equation");
            }

            for (int d = 0; d < shape.Count; d++)
            {
                char letter = operands[i][d];
                Dimension known = sizes.TryGetValue(letter, out Dimension before) ? before : Dimension.One;
                if (known != Dimension.One && shape[d] != Dimension.One && known.CertainlyDiffers(shape[d]))
                {
                    return c.RefuseShape($"`einsum` finds {known} and {shape[d]} for \"{letter}\" of \"{equation}\"", "equation");
                }

                sizes[letter] = known == Dimension.One || !known.IsKnown ? shape[d] : known;
            }
        }

        string output = sides.Length == 2
            ? sides[1]
            : new string(sides[0].Where(x => x != ',').GroupBy(x => x).Where(g => g.Count() == 1).Select(g => g.Key).OrderBy(x => x).ToArray());
        if (output.Any(x => !sizes.ContainsKey(x)))
        {
            return c.RefuseArgument($"`einsum` has no operand for every letter of \"{output}\"", "equation");
        }

        SymbolicTensor result = c.New(output.Select(x => sizes[x]), TypePromotion.Promote(tensors), tensors.Any(t => t.Differentiable));
        c.Facts.AddWork(TensorBytes.Count(sizes.Values) * Dimension.Of(2));
        foreach (SymbolicTensor tensor in tensors.Where(_ => result.Differentiable))
        {
            c.Save(tensor);
        }

        return result;
    }
}
