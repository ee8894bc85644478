using System;
using System.Collections.Generic;
using System.Linq;
using System.Text;

namespace Dho2.Planning;

/// <summary>Finds what is live at every cut: made at or before it, used after it.</summary>
internal static class CutBuilder
{
    /// <summary>How a tensor's type is written.</summary>
    public const string TensorTypeName = "global::TorchSharp.torch.Tensor";

    public static EquatableArray<CutPlan> Build(
        ModelDescription model, StageAssignment assignment, EquatableArray<InferredValue> types, List<PlanProblem> problems)
    {
        int[] last = assignment.LastUses();
        var cuts = new List<CutPlan>();
        for (int cut = 0; cut < assignment.Stages - 1; cut++)
        {
            int[] live = Enumerable.Range(0, last.Length).Where(v => assignment.StageOfValue(v) <= cut && last[v] > cut).ToArray();
            string[] names = NamesOf(model, live);
            cuts.Add(new(cut, live.Select((v, i) => CutValueOf(model, v, names[i], types[v])).ToEquatableArray()));
            foreach (int value in live.Where(v => assignment.StageOfValue(v) == cut || (cut == 0 && v < model.Inputs.Count)))
            {
                CheckCanCross(model, value, cut, problems);
            }
        }

        return cuts.ToEquatableArray();
    }

    private static CutValue CutValueOf(ModelDescription model, int value, string name, InferredValue inferred)
    {
        string typeName = value < model.Inputs.Count ? TensorTypeName : model.Operations[value - model.Inputs.Count].TypeName;
        return IsTensor(typeName)
            ? new(value, name, TensorTypeName, inferred.Type, inferred.Differentiable)
            : new(value, name, typeName, null, Differentiable: false);
    }

    private static void CheckCanCross(ModelDescription model, int value, int cut, List<PlanProblem> problems)
    {
        if (value >= model.Inputs.Count &&
            model.Operations[value - model.Inputs.Count].TypeName is var type && !IsTensor(type) && !CutScalars.Contains(type))
        {
            problems.Add(new(
                ProblemKind.ValueCannotCross,
                new PlanSite(SiteKind.Operation, value - model.Inputs.Count),
                OperationNames.DescribeValue(model, value),
                type.Replace("global::", ""),
                cut,
                cut + 1));
        }
    }

    /// <summary>Whether a value of the C# type can cross a cut.</summary>
    public static bool CanCross(string typeName) => IsTensor(typeName) || CutScalars.Contains(typeName);

    private static bool IsTensor(string typeName) => typeName.TrimEnd('?') is TensorTypeName or "global::TorchSharp.Modules.Parameter";

    /// <summary>Names that are unique within a cut: of the variable that holds the value, later values first, else of what makes it.</summary>
    private static string[] NamesOf(ModelDescription model, int[] live)
    {
        var names = new string[live.Length];
        var taken = new HashSet<string>(StringComparer.Ordinal);
        for (int i = live.Length - 1; i >= 0; i--)
        {
            names[i] = CandidatesFor(model, live[i]).First(taken.Add);
        }

        return names;
    }

    private static IEnumerable<string> CandidatesFor(ModelDescription model, int value)
    {
        foreach (string variable in model.Statements.SelectMany(s => s.Writes).Where(w => w.Value == value).Select(w => w.Variable))
        {
            yield return variable;
        }

        string made = value < model.Inputs.Count
            ? model.Inputs[value].Name
            : MadeUpName(model, model.Operations[value - model.Inputs.Count]);
        yield return made;
        for (int i = 2; ; i++)
        {
            yield return made + i;
        }
    }

    private static string MadeUpName(ModelDescription model, Operation operation)
    {
        string text = operation.Layer >= 0 ? model.Layers[operation.Layer].Name : OperationNames.Short(operation.Name);
        var name = new StringBuilder();
        foreach (char c in text.Where(c => char.IsLetterOrDigit(c) || c == '_'))
        {
            name.Append(name.Length == 0 && char.IsDigit(c) ? '_' : c);
        }

        // The suffix keeps it apart from keywords and from the layer itself.
        return name.Append(name.Length == 0 ? "value" : "Result").ToString();
    }
}
