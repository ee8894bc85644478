using System;
using Dho2.Planning.Inference;

namespace Dho2.Planning.Catalogue;

/// <summary>Activations and dropout as modules.</summary>
internal static class ActivationLayers
{
    public static void AddTo(Action<string, LayerRule> add)
    {
        foreach ((string layer, string function) in new[]
        {
            ("ReLU", "relu"), ("ReLU6", "relu6"), ("LeakyReLU", "leaky_relu"), ("Hardtanh", "hardtanh"), ("Hardsigmoid", "hardsigmoid"),
            ("Hardswish", "hardswish"), ("Hardshrink", "hardshrink"), ("Softshrink", "softshrink"), ("Threshold", "threshold"), ("Sigmoid", "sigmoid"),
            ("Tanh", "tanh"), ("GELU", "gelu"), ("SiLU", "silu"), ("ELU", "elu"), ("SELU", "selu"), ("CELU", "celu"), ("Softplus", "softplus"),
        })
        {
            Func<CallContext, Symbolic> rule = ElementwiseOperations.Rule(function);
            add(layer, LayerRule.Stateless(c => InPlace(c, rule(c))));
        }

        add("LogSigmoid", LayerRule.Stateless(ElementwiseOperations.LogSigmoid));
        add("Mish", LayerRule.Stateless(static c => InPlace(c, ElementwiseOperations.Mish(c))));
        add("Softsign", LayerRule.Stateless(ElementwiseOperations.Softsign));
        add("Tanhshrink", LayerRule.Stateless(ElementwiseOperations.Tanhshrink));
        foreach (string name in new[] { "Dropout", "AlphaDropout" })
        {
            add(name, LayerRule.Stateless(static c => InPlace(c, ElementwiseOperations.Dropout(c))));
        }

        foreach (string name in new[] { "Softmax", "LogSoftmax", "Softmin" })
        {
            bool isLogarithm = name == "LogSoftmax";
            add(name, LayerRule.Stateless(c => NormalisationOperations.Softmax(c, c.Settings.Constant("dim"), isLogarithm)));
        }

        add("GLU", LayerRule.Stateless(static c => NormalisationOperations.Glu(c, c.Settings.Constant("dim", -1))));
        add("PReLU", new LayerRule(static owner => owner.Parameter("weight", owner.Settings.Constant("num_parameters")), Prelu));
    }

    private static Symbolic InPlace(CallContext c, Symbolic result) =>
        result is SymbolicTensor tensor && c.Settings.Boolean("inplace", false) != false ? c.WrittenInto(c.Input, tensor) : result;

    private static Symbolic Prelu(CallContext c)
    {
        SymbolicTensor x = c.Input;
        Dimension channels = c.Settings.Integer("num_parameters", 1);
        if (channels != Dimension.One && x.Shape is { } shape && (shape.Count < 2 ? Dimension.One : shape[1]).CertainlyDiffers(channels))
        {
            return c.RefuseShape($"{c.Describe("PReLU")} expects {channels} channels, gets {x}");
        }

        SymbolicTensor y = c.New(x.Shape, x.Type, differentiable: true);
        c.Facts.AddWork(x.Count * Dimension.Of(2));
        c.Save(x);
        c.Facts.AddSecond(y.Bytes);
        return y;
    }
}
