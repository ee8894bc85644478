using System.Linq;
using Dho2.Planning.Inference;

namespace Dho2.Planning.Catalogue;

/// <summary>Losses, of layers and of functions.</summary>
internal static class LossOperations
{
    public static void AddTo(RuleTable table)
    {
        table.Add("cross_entropy", static c => CrossEntropy(c, c.Arguments, fromLogits: true));
        table.Add("nll_loss", static c => CrossEntropy(c, c.Arguments, fromLogits: false));
        foreach (string name in new[] { "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits", "kl_div" })
        {
            table.Add(name, static c => Pointwise(c, c.Arguments));
        }
    }

    /// <summary>The log-likelihood of classes: the second dimension of the input counts them.</summary>
    public static Symbolic CrossEntropy(CallContext c, ArgumentReader settings, bool fromLogits)
    {
        (SymbolicTensor x, SymbolicTensor target) = Operands(c);
        if (x.Shape is not { } shape || target.Shape is not { } labels || settings.Text("reduction", "Mean") is not { } reduction)
        {
            c.Facts.AddUnknown();
            return c.New(null, x.Type, x.Differentiable);
        }

        if (shape.Count == 0 || (target.Type is { } type && !fromLogits && type != DType.Int64))
        {
            return c.RefuseArgument($"`{c.Name}` cannot compare {x} with {ElementTypes.NameOf(target.Type ?? DType.Int64)} {target}");
        }

        bool isProbabilities = target.Type is { } t && ElementTypes.IsFloating(t);
        EquatableArray<Dimension> perSample = Axes.Without(shape, shape.Count == 1 ? 0 : 1);
        EquatableArray<Dimension> expected = isProbabilities ? shape : perSample;
        bool differs = labels.Count != expected.Count || labels.Zip(expected, static (a, b) => a.CertainlyDiffers(b)).Any(d => d);
        if (differs && target.Type is not null)
        {
            return c.RefuseShape($"`{c.Name}` of {x} expects {(isProbabilities ? "probabilities" : "classes")} of {ShapeText.Of(expected)}, gets {target}", "target");
        }

        // Other integer types are refused, by a message that differs between versions.
        if (target.Type is not (null or DType.Int64) && !isProbabilities)
        {
            return c.RefuseArgument($"`{c.Name}` needs classes of int64, gets {ElementTypes.NameOf(target.Type!.Value)} {target}", "target");
        }

        if (shape.Count == 1 && !fromLogits)
        {
            return c.Unknown();
        }

        SymbolicTensor y = c.Like(x, Reduced(reduction, perSample));
        c.Facts.AddWork(x.Count * Dimension.Of(fromLogits ? 5 : 1));
        if (y.Differentiable)
        {
            c.Save(target);
            if (fromLogits)
            {
                c.SaveInner(x.Bytes);
                c.Facts.AddSecond(x.Bytes);

                // Inside, log_softmax has results as large as the input: two gradients, and what its formula needs for a moment.
                c.Facts.AddSweep(x.Bytes * Dimension.Of(2 + NormalisationOperations.LogSoftmaxResults));
            }
            else
            {
                c.Save(x);
            }
        }

        return y;
    }

    /// <summary>A loss of every element against its target.</summary>
    public static Symbolic Pointwise(CallContext c, ArgumentReader settings)
    {
        (SymbolicTensor x, SymbolicTensor target) = Operands(c);
        if (x.Shape is not { } shape || target.Shape is not { } other || settings.Text("reduction", "Mean") is not { } reduction)
        {
            c.Facts.AddUnknown();
            return c.New(null, x.Type, x.Differentiable);
        }

        if (!Broadcasting.TryBroadcast(shape, other, out EquatableArray<Dimension> both, out _))
        {
            return c.RefuseShape($"`{c.Name}` cannot compare {x} with {target}", "target");
        }

        SymbolicTensor y = c.New(Reduced(reduction, both), TypePromotion.Promote([x, target]), x.Differentiable || target.Differentiable);
        c.Facts.AddWork(TensorBytes.Count(both) * Dimension.Of(3));
        if (y.Differentiable)
        {
            c.Save(x);
            c.Save(target);
            c.Facts.AddSecond(x.Bytes);
        }

        return y;
    }

    private static (SymbolicTensor Input, SymbolicTensor Target) Operands(CallContext c) =>
        (c.Input, c.Tensor(c.Layer is null ? c.Arguments.Get("target") : c.LayerArgument(1)));

    private static EquatableArray<Dimension> Reduced(string reduction, EquatableArray<Dimension> full) => reduction == "None" ? full : default;
}
