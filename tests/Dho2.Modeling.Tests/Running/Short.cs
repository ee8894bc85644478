using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using Dho2.Planning;

namespace Dho2.Modeling.Tests;

/// <summary>Writes descriptions in few words: <c>%1 = layer a (%0)</c>.</summary>
internal static class Short
{
    /// <summary>The operations of forward, with the results.</summary>
    public static string[] Operations(ModelDescription model) =>
        [.. Lines(model.Operations, model.Layers, model.Inputs.Count), "return " + string.Join(", ", model.Results.Select(r => "%" + r))];

    /// <summary>The operations of a body, with the results.</summary>
    public static string[] Operations(ModuleBody body) =>
        [.. Lines(body.Operations, body.Layers, body.InputCount), "return " + string.Join(", ", body.Results.Select(r => "%" + r))];

    /// <summary>What each statement reads and writes; a bar marks those that are copied as a whole.</summary>
    public static string[] Statements(ModelDescription model) =>
        [.. model.Statements.Select(s => $"{Text(s.Reads)} -> {Text(s.Writes)}{(s.Pieces ? "" : " |")}")];

    /// <summary>A layer with its arguments, defaults included.</summary>
    public static string Layer(LayerDescription layer) =>
        $"{layer.Name}: {Name(layer.Kind)}({string.Join(", ", layer.Arguments.Select(a => $"{a.Name}={Text(a)}"))})";

    private static IEnumerable<string> Lines(IEnumerable<Operation> operations, EquatableArray<LayerDescription> layers, int inputs) =>
        operations.Select((o, i) =>
            $"%{inputs + i} = {Name(o.Name)}{(o.Layer < 0 ? "" : " " + layers[o.Layer].Name)} ({string.Join(", ", o.Arguments.Select(Text))})");

    private static string Text(EquatableArray<VariableValue> values) => string.Join(" ", values.Select(v => $"{v.Variable}=%{v.Value}"));

    private static string Text(Argument argument) => argument.Kind switch
    {
        ArgumentKind.Value => "%" + argument.Value,
        ArgumentKind.Integer => argument.Integer.ToString(CultureInfo.InvariantCulture),
        ArgumentKind.Number => argument.Number.ToString("0.0###", CultureInfo.InvariantCulture),
        ArgumentKind.Boolean => argument.Integer != 0 ? "true" : "false",
        ArgumentKind.Text => $"'{argument.Text}'",
        ArgumentKind.Null => "null",
        ArgumentKind.List => $"[{string.Join(", ", argument.Items.Select(Text))}]",
        _ => "?",
    };

    private static string Name(string name) => name
        .Replace("TorchSharp.torch.nn.functional.", "F.")
        .Replace("TorchSharp.torch.nn.", "nn.")
        .Replace("TorchSharp.torch.", "torch.");
}
