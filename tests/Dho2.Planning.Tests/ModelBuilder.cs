using System.Collections.Generic;
using System.Linq;

namespace Dho2.Planning.Tests;

/// <summary>Writes descriptions the way modeling does, in a few words.</summary>
internal sealed class ModelBuilder
{
    public const string Tensor = "global::TorchSharp.torch.Tensor";

    private readonly List<InputDescription> inputs = [];
    private readonly List<LayerDescription> layers = [];
    private readonly List<Operation> operations = [];
    private readonly List<StatementDescription> statements = [];
    private int? whole;

    public ModelOptions Options { get; set; } = new(8, Schedule.OneForwardOneBackward, BaseKind.HeavyBall, 1, 64, null, null, null);

    public int Input(string name, params long[] dimensions) => Input(name, DType.Float32, dimensions);

    public int Input(string name, DType type, params long[] dimensions)
    {
        inputs.Add(new(name, dimensions.Select(d => new DimensionDescription(d, null)).ToEquatableArray(), type));
        return inputs.Count - 1;
    }

    public int Layer(string name, int? stage, string kind = "unknown", int? rank = null, params Argument[] arguments)
    {
        string full = kind is "unknown" or "parameter" or "module" ? kind : "TorchSharp.torch.nn." + kind;
        layers.Add(new(name, full, "global::L", arguments.ToEquatableArray(), stage, rank, null));
        return layers.Count - 1;
    }

    public int Call(int layer, params int[] values) =>
        Add("layer", values.Select((v, i) => Argument.OfValue(i == 0 ? "input" : "input" + i, v)), layer, Tensor);

    public int Read(int layer) => Add("read", [], layer, Tensor);

    public int Operation(string name, string type, params Argument[] arguments) => Add(name, arguments, -1, type);

    public int Operation(string name, params int[] values) =>
        Add(name, values.Select((v, i) => Argument.OfValue(i == 0 ? "this" : "p" + i, v)), -1, Tensor);

    /// <summary>Says that a variable holds a value after the statement that made it.</summary>
    public int Name(string variable, int value)
    {
        int statement = value < inputs.Count ? statements.Count - 1 : operations[value - inputs.Count].Statement;
        statements[statement] = statements[statement] with
        {
            Writes = statements[statement].Writes.Append(new VariableValue(variable, value)).ToEquatableArray(),
        };
        return value;
    }

    /// <summary>What is added until <see cref="EndWhole"/> is one statement that can be cut at its operations.</summary>
    public void BeginPieces()
    {
        whole = statements.Count;
        statements.Add(new(default, default, Pieces: true));
    }

    /// <summary>What is added until <see cref="EndWhole"/> is one statement that cannot be cut.</summary>
    public void BeginWhole(params int[] reads)
    {
        whole = statements.Count;
        statements.Add(new(reads.Select(r => new VariableValue("v" + r, r)).ToEquatableArray(), default, Pieces: false));
    }

    public void EndWhole() => whole = null;

    /// <summary>What is added from now on is one statement that can be cut.</summary>
    public void BeginStatement()
    {
        whole = statements.Count;
        statements.Add(new(default, default, Pieces: true));
    }

    public ModelDescription Return(params int[] results) => new(
        "Model",
        "Tests.Model",
        Options,
        inputs.ToEquatableArray(),
        default,
        layers.ToEquatableArray(),
        operations.ToEquatableArray(),
        statements.ToEquatableArray(),
        results.ToEquatableArray());

    private int Add(string name, IEnumerable<Argument> arguments, int layer, string type)
    {
        if (whole is null)
        {
            statements.Add(new(default, default, Pieces: true));
        }

        operations.Add(new(name, arguments.ToEquatableArray(), layer, whole ?? statements.Count - 1, type));
        return inputs.Count + operations.Count - 1;
    }
}
