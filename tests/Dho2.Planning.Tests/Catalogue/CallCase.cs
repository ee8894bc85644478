using System;
using System.Collections.Generic;
using System.Linq;

namespace Dho2.Planning.Tests.Catalogue;

/// <summary>A tensor to make: its sizes and element type.</summary>
public sealed record TensorSpec(DType Type, params long[] Shape)
{
    public TensorSpec(params long[] shape)
        : this(DType.Float32, shape)
    {
    }

    public override string ToString() => $"{ElementTypes.NameOf(Type)}({string.Join(", ", Shape)})";
}

/// <summary>
/// One call, for torch and for the catalogue: values are <see cref="TensorSpec"/> or arrays of it, long, long[], double,
/// bool, null, or a text that names an enum member.
/// </summary>
/// <param name="Name">The canonical name.</param>
/// <param name="Arguments">Parameter names and values.</param>
/// <param name="Layer">For the call of a layer: the arguments of its factory.</param>
public sealed record CallCase(string Name, (string Name, object? Value)[] Arguments, (string Name, object? Value)[]? Layer = null)
{
    public override string ToString() =>
        Name + (Layer is null ? "" : Show(Layer)) + Show(Arguments);

    /// <summary>The tensors, in the order in which they stand.</summary>
    public IReadOnlyList<TensorSpec> Tensors =>
        Arguments.SelectMany(a => a.Value switch { TensorSpec t => [t], TensorSpec[] many => many, _ => (TensorSpec[])[] }).ToArray();

    /// <summary>The description of a model that makes this call.</summary>
    public ModelDescription ToModel()
    {
        int next = 0;
        EquatableArray<Argument> arguments = Arguments.Select(a => ToArgument(a.Name, a.Value, ref next)).ToEquatableArray();
        EquatableArray<InputDescription> inputs = Tensors.Select((_, i) => new InputDescription("x" + i, null, DType.Float32)).ToEquatableArray();
        EquatableArray<LayerDescription> layers = default;
        if (Layer is not null)
        {
            int none = 0;
            layers = new[]
            {
                new LayerDescription("layer", Name, "L", Layer.Select(a => ToArgument(a.Name, a.Value, ref none)).ToEquatableArray(), 0, null, null),
            }.ToEquatableArray();
        }

        var operation = new Operation(Layer is null ? Name : "layer", arguments, Layer is null ? -1 : 0, 0, ModelBuilder.Tensor);
        return new(
            "M",
            "M",
            new(1, Schedule.GPipe, BaseKind.Sgd, 1, 1, null, null, null),
            inputs,
            default,
            layers,
            new[] { operation }.ToEquatableArray(),
            new[] { new StatementDescription(default, default, true) }.ToEquatableArray(),
            new[] { inputs.Count }.ToEquatableArray());
    }

    private static string Show((string Name, object? Value)[] arguments) =>
        "(" + string.Join(", ", arguments.Select(a => $"{a.Name}: {Show(a.Value)}")) + ")";

    private static string Show(object? value) => value switch
    {
        null => "null",
        Array array => "[" + string.Join(", ", array.Cast<object>()) + "]",
        _ => value.ToString()!,
    };

    private static Argument ToArgument(string name, object? value, ref int next)
    {
        switch (value)
        {
            case null:
                return Argument.OfNull(name);
            case TensorSpec:
                return Argument.OfValue(name, next++);
            case TensorSpec[] many:
                int first = next;
                next += many.Length;
                return Argument.OfList(name, many.Select((_, i) => Argument.OfValue("", first + i)).ToEquatableArray());
            case long number:
                return Argument.OfInteger(name, number);
            case long[] numbers:
                return Argument.OfList(name, numbers.Select(n => Argument.OfInteger("", n)).ToEquatableArray());
            case double number:
                return Argument.OfNumber(name, number);
            case bool truth:
                return Argument.OfBoolean(name, truth);
            case string text:
                return Argument.OfText(name, text);
            default:
                throw new NotSupportedException(value.GetType().Name);
        }
    }
}
