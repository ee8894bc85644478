using System.Collections.Generic;
using System.Linq;

namespace Dho2.Planning;

/// <summary>Which values each operation uses, and where a description is inconsistent.</summary>
internal static class ValueUses
{
    /// <summary>The distinct values that an operation uses, in the order of its arguments.</summary>
    public static List<int> Of(ModelDescription model, int operation)
    {
        Operation op = model.Operations[operation];
        var uses = new List<int>();
        Collect(op.Arguments, uses);
        if (op.Statement >= 0 && !model.Statements[op.Statement].Pieces)
        {
            // What is copied as a whole may read more than its modelled operations say; its own results are no input.
            foreach (VariableValue read in model.Statements[op.Statement].Reads)
            {
                Add(uses, read.Value);
            }

            uses.RemoveAll(value => value >= model.Inputs.Count && IsOfStatement(model, value, op.Statement));
        }

        return uses;
    }

    /// <summary>A sentence about the first index that points nowhere or forward; null where there is none.</summary>
    public static string? FindInconsistency(ModelDescription model)
    {
        int values = model.Inputs.Count + model.Operations.Count;
        for (int i = 0; i < model.Operations.Count; i++)
        {
            Operation op = model.Operations[i];
            if (op.Layer < -1 || op.Layer >= model.Layers.Count)
            {
                return $"operation {i} uses layer {op.Layer} of {model.Layers.Count}";
            }

            if (op.Statement < -1 || op.Statement >= model.Statements.Count)
            {
                return $"operation {i} is in statement {op.Statement} of {model.Statements.Count}";
            }

            var uses = new List<int>();
            Collect(op.Arguments, uses);
            int wrong = uses.FindIndex(v => v < 0 || v >= model.Inputs.Count + i);
            if (wrong >= 0)
            {
                return $"operation {i} uses value {uses[wrong]} before it is there";
            }
        }

        foreach (int value in model.Results)
        {
            if (value < 0 || value >= values)
            {
                return $"value {value} of {values} is returned";
            }
        }

        for (int i = 0; i < model.Statements.Count; i++)
        {
            foreach (VariableValue variable in model.Statements[i].Reads.Concat(model.Statements[i].Writes))
            {
                if (variable.Value < 0 || variable.Value >= values)
                {
                    return $"statement {i} uses value {variable.Value} of {values}";
                }
            }
        }

        return null;
    }

    private static bool IsOfStatement(ModelDescription model, int value, int statement) =>
        model.Operations[value - model.Inputs.Count].Statement == statement;

    private static void Collect(EquatableArray<Argument> arguments, List<int> uses)
    {
        foreach (Argument argument in arguments)
        {
            if (argument.Kind == ArgumentKind.Value)
            {
                Add(uses, argument.Value);
            }
            else if (argument.Kind == ArgumentKind.List)
            {
                Collect(argument.Items, uses);
            }
        }
    }

    private static void Add(List<int> uses, int value)
    {
        if (!uses.Contains(value))
        {
            uses.Add(value);
        }
    }
}
