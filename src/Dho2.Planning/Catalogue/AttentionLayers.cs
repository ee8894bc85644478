using System;
using System.Linq;
using Dho2.Planning.Inference;

namespace Dho2.Planning.Catalogue;

/// <summary>Attention and the layers of transformers (Vaswani et al. 2017). Sequences come first, then the batch.</summary>
internal static class AttentionLayers
{
    public static void AddTo(Action<string, LayerRule> add)
    {
        add("MultiheadAttention", new LayerRule(OwnAttention, Attention));
        add("TransformerEncoderLayer", new LayerRule(static owner => OwnTransformer(owner, isDecoder: false), static c => Transformer(c, isDecoder: false)));
        add("TransformerDecoderLayer", new LayerRule(static owner => OwnTransformer(owner, isDecoder: true), static c => Transformer(c, isDecoder: true)));
    }

    public static void AddTo(RuleTable table) => table.AddExact("TorchSharp.torch.nn.functional.scaled_dot_product_attention", ScaledDotProduct);

    private static void OwnAttention(LayerOwner owner)
    {
        long? width = owner.Settings.Constant("embedded_dim");
        long? heads = owner.Settings.Constant("num_heads");
        bool isPlain = owner.Settings.Get("kdim") is SymbolicNull && owner.Settings.Get("vdim") is SymbolicNull
            && owner.Settings.Boolean("add_bias_kv", false) == false;
        if (width is null || heads is not >= 1 || !isPlain || owner.Settings.Boolean("bias", true) is not { } bias)
        {
            owner.Unknown();
        }
        else if (width % heads != 0)
        {
            owner.Refuse($"'{owner.Name}' cannot share {width} numbers out over {heads} heads");
        }
        else
        {
            OwnProjections(owner, "", width.Value, bias);
        }
    }

    private static void OwnProjections(LayerOwner owner, string prefix, long width, bool bias)
    {
        owner.Parameter(prefix + "in_proj_weight", 3 * width, width);
        if (bias)
        {
            owner.Parameter(prefix + "in_proj_bias", 3 * width);
        }

        owner.Parameter(prefix + "out_proj.weight", width, width);
        if (bias)
        {
            owner.Parameter(prefix + "out_proj.bias", width);
        }
    }

    private static void OwnTransformer(LayerOwner owner, bool isDecoder)
    {
        long? width = owner.Settings.Constant("d_model", 512);
        long? inner = owner.Settings.Constant("dim_feedforward", 2048);
        long? heads = owner.Settings.Constant("nhead", 8);
        if (width is null || inner is null || heads is not >= 1)
        {
            owner.Unknown();
            return;
        }

        if (width % heads != 0)
        {
            owner.Refuse($"'{owner.Name}' cannot share {width} numbers out over {heads} heads");
            return;
        }

        OwnProjections(owner, "self_attn.", width.Value, bias: true);
        if (isDecoder)
        {
            OwnProjections(owner, "multihead_attn.", width.Value, bias: true);
        }

        owner.Parameter("linear1.weight", inner, width);
        owner.Parameter("linear1.bias", inner);
        owner.Parameter("linear2.weight", width, inner);
        owner.Parameter("linear2.bias", width);
        for (int norm = 1; norm <= (isDecoder ? 3 : 2); norm++)
        {
            owner.Parameter($"norm{norm}.weight", width);
            owner.Parameter($"norm{norm}.bias", width);
        }
    }

    private static Symbolic Attention(CallContext c)
    {
        SymbolicTensor query = c.Tensor(c.LayerArgument(0));
        SymbolicTensor key = c.Tensor(c.LayerArgument(1));
        SymbolicTensor value = c.Tensor(c.LayerArgument(2));
        Dimension width = c.Settings.Integer("embedded_dim", 0);
        Dimension heads = c.Settings.Integer("num_heads", 1);
        if (query.Shape is { Count: 3 } wrong && wrong[2].CertainlyDiffers(width))
        {
            return c.RefuseShape($"{c.Describe("MultiheadAttention")} expects {width} features, gets {wrong[2]} {c.Origin(query)}");
        }

        bool isPlain = c.Settings.Get("kdim") is SymbolicNull && c.Settings.Get("vdim") is SymbolicNull
            && c.Settings.Boolean("add_bias_kv", false) == false && c.Settings.Boolean("add_zero_attn", false) == false;
        if (query.Shape is not { Count: 3 } q || key.Shape is not { Count: 3 } k || value.Shape is not { Count: 3 } v || !isPlain
            || k[0] != v[0] || k[1] != q[1] || v[1] != q[1] || k[2] != width || v[2] != width
            || query.Type != c.Elements || key.Type != c.Elements || value.Type != c.Elements)
        {
            return c.Unknown();
        }

        SymbolicTensor result = c.New(q, query.Type, differentiable: true);
        Symbolic weights = c.LayerArgument(4) is SymbolicNull or SymbolicBoolean { Value: true }
            ? c.New([q[1], q[0], k[0]], query.Type, differentiable: true)
            : SymbolicUnknown.Value;
        c.Save(query);
        c.Save(key);
        c.Save(value);
        Cost(c, q[1], q[0], k[0], width, heads, c.Settings.Number("dropout", 0) is not 0.0);
        return new SymbolicList([result, weights]);
    }

    /// <summary>
    /// Projections of query, key and value, their weights before and after dropout for every head, what the heads make,
    /// and the last projection.
    /// </summary>
    private static void Cost(CallContext c, Dimension samples, Dimension queries, Dimension keys, Dimension width, Dimension heads, bool hasDropout)
    {
        Dimension element = Dimension.Of(ElementTypes.SizeOf(c.Elements));
        Dimension projected = samples * (queries + (Dimension.Of(2) * keys)) * width;
        Dimension weights = samples * heads * queries * keys;
        Dimension made = samples * queries * width;
        c.Facts.AddWork((projected + made) * width * Dimension.Of(2));
        c.Facts.AddWork(samples * queries * keys * width * Dimension.Of(4));
        c.Facts.AddWork(weights * Dimension.Of(5));
        c.SaveInner((projected + made + weights) * element);
        c.SaveBytes(weights * Dimension.Of(hasDropout ? 2 : 0) * element);
        c.Facts.AddSecond((projected + made + (weights * Dimension.Of(2))) * element);
    }

    private static Symbolic Transformer(CallContext c, bool isDecoder)
    {
        SymbolicTensor x = c.Input;
        Dimension width = c.Settings.Integer("d_model", 512);
        Dimension inner = c.Settings.Integer("dim_feedforward", 2048);
        string kind = isDecoder ? "TransformerDecoderLayer" : "TransformerEncoderLayer";
        if (x.Shape is { Count: 3 } wrong && wrong[2].CertainlyDiffers(width))
        {
            return c.RefuseShape($"{c.Describe(kind)} expects {width} features, gets {wrong[2]} {c.Origin(x)}");
        }

        if (x.Shape is not { Count: 3 } shape || x.Type != c.Elements)
        {
            return c.Unknown();
        }

        bool hasDropout = c.Settings.Number("dropout", 0.1) is not 0.0;
        Dimension heads = c.Settings.Integer("nhead", 8);
        Cost(c, shape[1], shape[0], shape[0], width, heads, hasDropout);
        int norms = 2;
        if (isDecoder)
        {
            SymbolicTensor memory = c.Tensor(c.LayerArgument(1));
            if (memory.Shape is not { Count: 3 } source || source[1] != shape[1] || source[2] != width || memory.Type != c.Elements)
            {
                return c.Unknown();
            }

            c.Save(memory);
            Cost(c, shape[1], shape[0], source[0], width, heads, hasDropout);
            norms = 3;
        }

        SymbolicTensor y = c.New(shape, x.Type, differentiable: true);
        Dimension element = Dimension.Of(ElementTypes.SizeOf(c.Elements));
        Dimension rows = shape[0] * shape[1];
        c.Facts.AddWork(rows * width * inner * Dimension.Of(4));
        c.Facts.AddWork(rows * width * Dimension.Of(8 * norms));
        c.Save(x);

        // Each norm keeps its input and its result feeds what follows; the inner activation and its input; masks.
        Dimension kept = (rows * width * Dimension.Of((2 * norms) - 1)) + (rows * inner * Dimension.Of(2));
        Dimension masks = hasDropout ? (rows * width * Dimension.Of(norms)) + (rows * inner) : Dimension.Of(0);
        c.SaveInner(kept * element);
        c.SaveBytes(masks * element);
        c.Facts.AddSecond(kept * element);
        return y;
    }

    /// <summary>
    /// Attention without projections. The kernels that never hold all weights at once have no second derivative: the
    /// runtime selects the one that does while it estimates curvature, whose weights count as memory of the second backward.
    /// </summary>
    private static Symbolic ScaledDotProduct(CallContext c)
    {
        SymbolicTensor query = c.Tensor(c.Arguments.Get("query"));
        SymbolicTensor key = c.Tensor(c.Arguments.Get("key"));
        SymbolicTensor value = c.Tensor(c.Arguments.Get("value"));
        if (query.Shape is not { Count: >= 2 } q || key.Shape is not { Count: >= 2 } k || value.Shape is not { Count: >= 2 } v)
        {
            return c.Unknown();
        }

        if (q[q.Count - 1].CertainlyDiffers(k[k.Count - 1]))
        {
            return c.RefuseShape($"`{c.Name}` cannot compare queries {query} with keys {key}: {q[q.Count - 1]} numbers against {k[k.Count - 1]}");
        }

        if (k[k.Count - 2].CertainlyDiffers(v[v.Count - 2]))
        {
            return c.RefuseShape($"`{c.Name}` gets {k[k.Count - 2]} keys in {key}, but {v[v.Count - 2]} values in {value}");
        }

        bool isPlain = q.Count == k.Count && q.Count == v.Count
            && q.Take(q.Count - 2).SequenceEqual(k.Take(k.Count - 2)) && q.Take(q.Count - 2).SequenceEqual(v.Take(v.Count - 2))
            && query.Type is { } type && ElementTypes.IsFloating(type) && key.Type == type && value.Type == type;
        if (!isPlain)
        {
            return c.Unknown();
        }

        bool differentiable = query.Differentiable || key.Differentiable || value.Differentiable;
        SymbolicTensor y = c.New(q.Take(q.Count - 1).Append(v[v.Count - 1]), query.Type, differentiable);
        Dimension leading = TensorBytes.Count(q.Take(q.Count - 2));
        Dimension weights = leading * q[q.Count - 2] * k[k.Count - 2];
        Dimension element = Dimension.Of(ElementTypes.SizeOf(query.Type!.Value));
        c.Facts.AddWork(weights * ((q[q.Count - 1] + v[v.Count - 1]) * Dimension.Of(2)));
        c.Facts.AddWork(weights * Dimension.Of(5));
        if (differentiable)
        {
            c.Save(query);
            c.Save(key);
            c.Save(value);
            c.Save(y);
            c.SaveBytes(leading * q[q.Count - 2] * Dimension.Of(4));
            c.Facts.AddSecond((weights * Dimension.Of(3) * element) + y.Bytes);
        }

        return y;
    }
}
