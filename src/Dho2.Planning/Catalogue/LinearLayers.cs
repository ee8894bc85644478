using System;
using System.Linq;
using Dho2.Planning.Inference;

namespace Dho2.Planning.Catalogue;

/// <summary>Layers that multiply with a weight or look rows of it up.</summary>
internal static class LinearLayers
{
    public static void AddTo(Action<string, LayerRule> add)
    {
        add("Linear", new LayerRule(OwnLinear, Linear));
        add("Embedding", new LayerRule(OwnEmbedding, Embedding));
        add("EmbeddingBag", new LayerRule(OwnEmbedding, EmbeddingBag));
    }

    private static void OwnLinear(LayerOwner owner)
    {
        long? input = owner.Settings.Constant("inputSize");
        long? output = owner.Settings.Constant("outputSize");
        if (input is < 0 || output is < 0)
        {
            owner.Refuse($"'{owner.Name}' maps {input} features to {output}; neither may be negative");
            return;
        }

        owner.Parameter("weight", output, input);
        switch (owner.Settings.Boolean("hasBias", true))
        {
            case true:
                owner.Parameter("bias", output);
                break;
            case null:
                owner.Unknown();
                break;
        }
    }

    private static Symbolic Linear(CallContext c)
    {
        if (c.Settings.Has("weight"))
        {
            return c.Unknown();
        }

        Dimension input = c.Settings.Integer("inputSize", 0);
        Dimension output = c.Settings.Integer("outputSize", 0);
        return MatrixOperations.Linear(c, c.Input, c.Existing([output, input], c.Elements, differentiable: true), SymbolicNull.Instance);
    }

    private static void OwnEmbedding(LayerOwner owner)
    {
        long? count = owner.Settings.Constant("num_embeddings");
        long? size = owner.Settings.Constant("embedding_dims");
        if (count is < 0 || size is < 0)
        {
            owner.Refuse($"'{owner.Name}' has {count} rows of {size} numbers; neither may be negative");
            return;
        }

        owner.Parameter("weight", count, size);
    }

    private static Symbolic Embedding(CallContext c)
    {
        SymbolicTensor x = c.Input;
        if (x.Type is { } type && type is not (DType.Int64 or DType.Int32))
        {
            return c.RefuseArgument($"{c.Describe("Embedding")} looks up integers, gets {ElementTypes.NameOf(type)} {x}; declare the input with DType.Int64");
        }

        SymbolicTensor y = c.New(x.Shape?.Append(c.Settings.Integer("embedding_dims", 0)), c.Elements, differentiable: true);
        c.Save(x);
        return y;
    }

    /// <summary>Sums, means or maxima of the rows of each bag; the only layer whose gradient cannot be differentiated again.</summary>
    private static Symbolic EmbeddingBag(CallContext c)
    {
        c.Facts.LacksSecondDerivative();
        SymbolicTensor x = c.Input;
        if (x.Type is { } type && type is not (DType.Int64 or DType.Int32))
        {
            return c.RefuseArgument($"{c.Describe("EmbeddingBag")} looks up integers, gets {ElementTypes.NameOf(type)} {x}; declare the input with DType.Int64");
        }

        // Bags of a flat list begin at offsets, which are not known to fit.
        if (x.Shape is not { Count: 2 } shape || c.LayerArgument(1) is not SymbolicNull || c.LayerArgument(2) is not SymbolicNull)
        {
            return c.Unknown();
        }

        Dimension width = c.Settings.Integer("embedding_dims", 0);
        SymbolicTensor y = c.New([shape[0], width], c.Elements, differentiable: true);
        c.Facts.AddWork(x.Count * width);
        c.Save(x);
        c.SaveBytes((x.Count + (shape[0] * Dimension.Of(2))) * Dimension.Of(sizeof(long)));
        return y;
    }
}
