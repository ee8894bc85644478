using System.Collections.Generic;
using System.Linq;
using Dho2.Planning.Inference;

namespace Dho2.Planning.Catalogue;

/// <summary>Convolutions and transposed convolutions, of layers and of functions.</summary>
internal static class ConvolutionOperations
{
    public static void AddTo(RuleTable table)
    {
        for (int d = 1; d <= 3; d++)
        {
            int dimensions = d;
            table.Add($"conv{d}d", c => Function(c, dimensions, transposed: false));
            table.Add($"conv_transpose{d}d", c => Function(c, dimensions, transposed: true));
        }
    }

    /// <summary>The layer of 1 to 3 dimensions.</summary>
    public static LayerRule Layer(int dimensions, bool transposed) => new(
        owner => Own(owner, dimensions, transposed),
        c => Forward(c, dimensions, transposed));

    private static void Own(LayerOwner owner, int dimensions, bool transposed)
    {
        long? input = owner.Settings.Constant("in_channels");
        long? output = owner.Settings.Constant("out_channels");
        long? groups = owner.Settings.Constant("groups", 1);
        if (input is <= 0 || output is <= 0 || groups is <= 0)
        {
            owner.Refuse($"'{owner.Name}' has {input} input channels, {output} output channels and {groups} groups; all must be at least 1");
            return;
        }

        if (groups is { } g && ((input is { } i && i % g != 0) || (output is { } o && o % g != 0)))
        {
            owner.Refuse($"'{owner.Name}' cannot put {input} input and {output} output channels into {groups} groups", "groups");
            return;
        }

        IReadOnlyList<Dimension>? kernel = Windows.Spread(owner.Settings.Get("kernel_size"), dimensions, null);
        long? first = transposed ? input : output;
        long? second = (transposed ? output : input) / groups;
        long?[] shape = new[] { first, second }
            .Concat(Enumerable.Range(0, dimensions).Select(k => kernel?[k] is { IsNumber: true } size ? size.Number : (long?)null))
            .ToArray();
        if (owner.Settings.Boolean("bias", true) is not { } hasBias)
        {
            owner.Unknown();
            return;
        }

        owner.Parameter("weight", shape);
        if (hasBias)
        {
            owner.Parameter("bias", output);
        }
    }

    private static Symbolic Forward(CallContext c, int dimensions, bool transposed)
    {
        ArgumentReader settings = c.Settings;
        Dimension input = settings.Integer("in_channels", 0);
        Dimension output = settings.Integer("out_channels", 0);
        IReadOnlyList<Dimension>? kernel = Windows.Spread(settings.Get("kernel_size"), dimensions, null);
        string kind = (transposed ? "ConvTranspose" : "Conv") + dimensions + "d";
        Symbolic padding = settings.Get("padding");
        IReadOnlyList<Dimension>? padded = padding is SymbolicText { Value: { } mode }
            ? PaddingOf(mode.Substring(mode.LastIndexOf('.') + 1), dimensions)
            : Windows.Spread(padding, dimensions, Dimension.Of(0));
        return Convolve(c, kind, dimensions, transposed, settings, input, output, kernel, padded, c.Elements, weight: null, differentiable: true);
    }

    private static Symbolic Function(CallContext c, int dimensions, bool transposed)
    {
        SymbolicTensor weight = c.Tensor(c.Arguments.Get("weight"));
        if (weight.Shape is not { } shape)
        {
            return c.Unknown();
        }

        if (shape.Count != dimensions + 2)
        {
            return c.RefuseShape($"`{c.Name}` needs a weight of {dimensions + 2} dimensions, gets {weight}", "weight");
        }

        Dimension groups = c.Arguments.Integer("groups", 1);
        Dimension input = transposed ? shape[0] : shape[1] * groups;
        Dimension output = transposed ? shape[1] * groups : shape[0];
        IReadOnlyList<Dimension> kernel = shape.Skip(2).ToArray();
        IReadOnlyList<Dimension>? padding = Windows.Spread(c.Arguments.Get("padding"), dimensions, Dimension.Of(0));
        return Convolve(
            c, c.Name, dimensions, transposed, c.Arguments, input, output, kernel, padding, weight.Type, weight,
            weight.Differentiable || c.Arguments.Get("bias").Differentiable);
    }

    // "Same" keeps the size for stride 1, which is all that it is allowed with: as if half the span were added at both ends.
    private static IReadOnlyList<Dimension>? PaddingOf(string mode, int dimensions) =>
        mode is "Valid" or "valid" ? Enumerable.Repeat(Dimension.Of(0), dimensions).ToArray() : null;

    private static Symbolic Convolve(
        CallContext c,
        string kind,
        int dimensions,
        bool transposed,
        ArgumentReader arguments,
        Dimension input,
        Dimension output,
        IReadOnlyList<Dimension>? kernel,
        IReadOnlyList<Dimension>? padding,
        DType? weightType,
        SymbolicTensor? weight,
        bool differentiable)
    {
        SymbolicTensor x = c.Input;
        if (x.Shape is not { } shape)
        {
            c.Facts.AddUnknown();
            return c.New(null, x.Type, true);
        }

        if (shape.Count != dimensions + 1 && shape.Count != dimensions + 2)
        {
            return c.RefuseShape($"{c.Describe(kind)} needs {dimensions + 2} dimensions (or {dimensions + 1} without a batch), gets {x}");
        }

        int channel = shape.Count - dimensions - 1;
        if (shape[channel].CertainlyDiffers(input))
        {
            return c.RefuseShape($"{c.Describe(kind)} expects {input} channels, gets {shape[channel]} {c.Origin(x)}");
        }

        if (x.Type is { } type && weightType is { } expected && type != expected)
        {
            return c.RefuseArgument($"{c.Describe(kind)} needs {ElementTypes.NameOf(expected)}, gets {ElementTypes.NameOf(type)} {x}");
        }

        bool isSame = arguments.Get("padding") is SymbolicText { Value: { } mode } && mode.EndsWith("same", System.StringComparison.OrdinalIgnoreCase);
        IReadOnlyList<Dimension>? stride = Windows.Spread(arguments.Get("stride", "strides"), dimensions, Dimension.One);
        IReadOnlyList<Dimension>? dilation = Windows.Spread(arguments.Get("dilation"), dimensions, Dimension.One);
        IReadOnlyList<Dimension>? added = Windows.Spread(arguments.Get("output_padding"), dimensions, Dimension.Of(0));
        var sizes = new Dimension[dimensions];
        if (isSame)
        {
            sizes = shape.Skip(channel + 1).ToArray();
        }
        else if (kernel is not null && stride is not null && padding is not null && dilation is not null && added is not null)
        {
            var windows = new Windows(kernel, stride, padding, dilation);
            for (int i = 0; i < dimensions; i++)
            {
                Dimension size = shape[channel + 1 + i];
                sizes[i] = transposed ? windows.Transposed(i, size, added[i]) : windows.Places(i, size);
                if (windows.IsImpossible || (sizes[i].IsNumber && sizes[i].Number < 1))
                {
                    return c.RefuseShape(
                        $"{c.Describe(kind)} with kernel {ShapeText.Of(kernel)}, stride {ShapeText.Of(stride)} and padding {ShapeText.Of(padding)} has no place in {x}");
                }
            }
        }

        SymbolicTensor y = c.New(shape.Take(channel).Append(output).Concat(sizes), x.Type, x.Differentiable || differentiable);
        Dimension perElement = (transposed ? output : input).DivideExactly(arguments.Integer("groups", 1)) * TensorBytes.Count(kernel ?? [Dimension.Unknown]);
        c.Facts.AddWork((transposed ? x.Count : y.Count) * perElement * Dimension.Of(2));
        if (y.Differentiable)
        {
            c.Save(x);
            if (weight is not null)
            {
                c.Save(weight);
            }

            c.Facts.AddSecond(y.Bytes);
            if (x.Differentiable)
            {
                // Its double backward makes three tensors as large as the operand and three as the result, as a count of them shows.
                c.Facts.AddSweep((x.Bytes * Dimension.Of(3)) + y.Bytes);
            }
        }

        return y;
    }
}
