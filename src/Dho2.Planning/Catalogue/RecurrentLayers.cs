using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Planning.Inference;

namespace Dho2.Planning.Catalogue;

/// <summary>Recurrent layers and their cells (Hochreiter and Schmidhuber 1997; Cho et al. 2014).</summary>
internal static class RecurrentLayers
{
    public static void AddTo(Action<string, LayerRule> add)
    {
        foreach ((string name, int gates, int kept) in new[] { ("RNN", 1, 2), ("GRU", 3, 8), ("LSTM", 4, 7) })
        {
            bool hasCell = name == "LSTM";
            add(name, new LayerRule(owner => Own(owner, gates), c => Sequence(c, name, gates, kept, hasCell)));

            add(name + "Cell", new LayerRule(owner => OwnCell(owner, gates), c => Cell(c, name + "Cell", gates, kept, hasCell)));
        }
    }

    private static void Own(LayerOwner owner, int gates)
    {
        long? layers = owner.Settings.Constant("numLayers", 1);
        bool? both = owner.Settings.Boolean("bidirectional", false);
        bool? bias = owner.Settings.Boolean("bias", true);
        long? input = owner.Settings.Constant("inputSize");
        long? hidden = owner.Settings.Constant("hiddenSize");
        if (layers is not (>= 1 and <= 1024) || both is null || bias is null || input is not >= 1 || hidden is not >= 1)
        {
            owner.Unknown();
            return;
        }

        int directions = both.Value ? 2 : 1;
        for (int layer = 0; layer < layers; layer++)
        {
            for (int direction = 0; direction < directions; direction++)
            {
                OwnGates(owner, gates, layer == 0 ? input : hidden * directions, hidden, bias.Value, $"_l{layer}{(direction == 0 ? "" : "_reverse")}");
            }
        }
    }

    private static void OwnCell(LayerOwner owner, int gates)
    {
        if (owner.Settings.Boolean("bias", true) is { } bias)
        {
            OwnGates(owner, gates, owner.Settings.Constant("inputSize"), owner.Settings.Constant("hiddenSize"), bias, "");
        }
        else
        {
            owner.Unknown();
        }
    }

    private static void OwnGates(LayerOwner owner, int gates, long? input, long? hidden, bool bias, string suffix)
    {
        owner.Parameter("weight_ih" + suffix, gates * hidden, input);
        owner.Parameter("weight_hh" + suffix, gates * hidden, hidden);
        if (bias)
        {
            owner.Parameter("bias_ih" + suffix, gates * hidden);
            owner.Parameter("bias_hh" + suffix, gates * hidden);
        }
    }

    private static Symbolic Sequence(CallContext c, string kind, int gates, int kept, bool hasCell)
    {
        SymbolicTensor x = c.Input;
        Dimension hidden = c.Settings.Integer("hiddenSize", 0);
        long? layers = c.Settings.Constant("numLayers", 1);
        bool? both = c.Settings.Boolean("bidirectional", false);
        bool? batchFirst = c.Settings.Boolean("batchFirst", false);
        Dimension expected = c.Settings.Integer("inputSize", 0);
        if (x.Shape is { Count: >= 1 } any && any[any.Count - 1].CertainlyDiffers(expected))
        {
            return c.RefuseShape($"{c.Describe(kind)} expects {expected} features, gets {any[any.Count - 1]} {c.Origin(x)}");
        }

        // Sequences without a batch are left unknown, and so are states of its own for the first step.
        if (x.Shape is not { Count: 3 } shape || x.Type != c.Elements || layers is not >= 1 || both is null || batchFirst is null
            || c.LayerArgument(1) is not SymbolicNull)
        {
            return c.Unknown();
        }

        Dimension directions = Dimension.Of(both.Value ? 2 : 1);
        Dimension cells = Dimension.Of(layers.Value) * directions;
        Dimension samples = shape[batchFirst.Value ? 0 : 1];
        SymbolicTensor y = c.New([shape[0], shape[1], hidden * directions], x.Type, differentiable: true);
        List<Symbolic> results = [y];
        for (int state = 0; state < (hasCell ? 2 : 1); state++)
        {
            results.Add(c.New([cells, samples, hidden], x.Type, differentiable: true));
        }

        // Layers after the first get what all directions of the one before made.
        Dimension steps = shape[0] * shape[1] * directions;
        Dimension later = Dimension.Of(layers.Value - 1);
        Dimension products = (expected + hidden) + (later * ((hidden * directions) + hidden));
        Cost(c, x, steps, products, hidden * Dimension.Of(layers.Value), hidden, gates, kept);
        c.SaveInner(later * shape[0] * shape[1] * hidden * directions * Size(x));
        return new SymbolicList(results);
    }

    private static Symbolic Cell(CallContext c, string kind, int gates, int kept, bool hasCell)
    {
        SymbolicTensor x = c.Input;
        Dimension hidden = c.Settings.Integer("hiddenSize", 0);
        Dimension expected = c.Settings.Integer("inputSize", 0);
        if (x.Shape is { Count: >= 1 } any && any[any.Count - 1].CertainlyDiffers(expected))
        {
            return c.RefuseShape($"{c.Describe(kind)} expects {expected} features, gets {any[any.Count - 1]} {c.Origin(x)}");
        }

        bool Fits(Symbolic state) => state is SymbolicTensor { Shape: { Count: 2 } sizes }
            && x.Shape is { Count: 2 } own && sizes[0] == own[0] && sizes[1] == hidden;

        // TorchSharp refuses an LSTM cell without its two states.
        bool fits = c.LayerArgument(1) switch
        {
            SymbolicNull => !hasCell,
            SymbolicList { Items: [{ } state, { } cell] } => hasCell && Fits(state) && Fits(cell),
            { } state => !hasCell && Fits(state),
        };
        if (x.Shape is not { Count: 2 } shape || x.Type != c.Elements || !fits)
        {
            return c.Unknown();
        }

        SymbolicTensor h = c.New([shape[0], hidden], x.Type, differentiable: true);
        Cost(c, x, shape[0], expected + hidden, hidden, hidden, gates, kept);
        return hasCell ? new SymbolicList([h, c.New([shape[0], hidden], x.Type, differentiable: true)]) : h;
    }

    /// <summary>
    /// Work and memory: each step multiplies input and state with the weights of its gates, and keeps the gates' values,
    /// its state, and what the activations of the state need.
    /// </summary>
    private static void Cost(CallContext c, SymbolicTensor x, Dimension steps, Dimension products, Dimension states, Dimension hidden, int gates, int kept)
    {
        c.Facts.AddWork(steps * Dimension.Of(gates) * ((products * hidden * Dimension.Of(2)) + (states * Dimension.Of(8))));
        Dimension bytes = steps * states * Dimension.Of(kept) * Size(x);
        c.Save(x);
        c.SaveInner(bytes);
        c.Facts.AddSecond(bytes * Dimension.Of(2));
    }

    private static Dimension Size(SymbolicTensor x) => Dimension.Of(ElementTypes.SizeOf(x.Type!.Value));
}
