using System;
using System.Collections.Generic;
using System.Linq;

namespace Dho2.Planning;

/// <summary>Finds the parameters that are one: by <c>[TiedTo]</c>, or because a stage reads another's.</summary>
internal sealed class TieFinder
{
    private readonly ModelDescription model;
    private readonly InferenceResult inference;
    private readonly List<PlanProblem> problems;

    // For each tied parameter, what it is tied to, and the layer that has it.
    private readonly Dictionary<string, string> owners = new(StringComparer.Ordinal);
    private readonly List<(int Layer, string Name)> tied = [];

    private TieFinder(ModelDescription model, InferenceResult inference, List<PlanProblem> problems)
    {
        this.model = model;
        this.inference = inference;
        this.problems = problems;
    }

    /// <summary>Whether an operation reads a parameter of a layer, which any stage may do.</summary>
    public static bool IsRead(Operation operation) =>
        operation is { Name: "read", Layer: >= 0 } && operation.Arguments.Any(argument => argument.Name == "parameter");

    /// <summary>Finds the ties; adds what cannot be tied to the problems.</summary>
    public static EquatableArray<TiePlan> Find(ModelDescription model, InferenceResult inference, StageAssignment assignment, List<PlanProblem> problems)
    {
        var finder = new TieFinder(model, inference, problems);
        for (int layer = 0; layer < model.Layers.Count; layer++)
        {
            finder.Tie(layer);
        }

        return finder.Plans(assignment);
    }

    private void Tie(int layer)
    {
        if (model.Layers[layer].TiedTo is not { } target)
        {
            return;
        }

        int owner = LayerOf(target);
        if (owner < 0 || owner == layer)
        {
            Refuse(layer, $"no other layer is called '{target.Split('.')[0]}'");
            return;
        }

        if (inference.Layers[layer].Parameters is not { } own || inference.Layers[owner].Parameters is not { } others)
        {
            Refuse(layer, $"the parameters of {(inference.Layers[layer].Parameters is null ? "the layer" : $"'{model.Layers[owner].Name}'")} are not known at compile time");
            return;
        }

        string wanted = target.Substring(model.Layers[owner].Name.Length).TrimStart('.');
        int before = tied.Count;
        foreach (ParameterPlan parameter in own)
        {
            string inner = Inner(parameter.Name, layer);
            ParameterPlan? other = others.FirstOrDefault(o => Inner(o.Name, owner) is var name && (name == inner || inner.Length == 0) && (wanted.Length == 0 || name == wanted));
            if (other is null)
            {
                continue;
            }

            if (!other.Shape.Equals(parameter.Shape))
            {
                Refuse(layer, $"'{parameter.Name}' is {Text(parameter)}, '{other.Name}' {Text(other)}");
                return;
            }

            if (!IsDirect(layer, inner) || !IsDirect(owner, Inner(other.Name, owner)))
            {
                Refuse(layer, $"'{parameter.Name}' is no weight or bias of one of TorchSharp's own layers, which alone can be set; read the other one in forward instead");
                return;
            }

            owners[parameter.Name] = other.Name;
            tied.Add((layer, parameter.Name));
        }

        if (tied.Count == before)
        {
            Refuse(layer, $"it has no parameter that '{target}' has too");
        }
    }

    private EquatableArray<TiePlan> Plans(StageAssignment assignment)
    {
        var uses = new Dictionary<string, List<TiedUse>>(StringComparer.Ordinal);
        void Use(string name, TiedUse use)
        {
            if (!uses.TryGetValue(name, out List<TiedUse>? list))
            {
                uses.Add(name, list = []);
            }

            list.Add(use);
        }

        foreach ((int layer, string name) in tied)
        {
            if (OwnerOf(name) is { } owner)
            {
                Use(owner, new(model.Layers[layer].Stage!.Value, layer, name, -1));
            }
            else
            {
                Refuse(layer, "it is tied to itself in a circle");
            }
        }

        for (int i = 0; i < model.Operations.Count; i++)
        {
            Operation operation = model.Operations[i];
            if (!IsRead(operation) || assignment.Operations[i] == model.Layers[operation.Layer].Stage)
            {
                continue;
            }

            string name = $"{model.Layers[operation.Layer].Name}.{operation.Arguments.First(argument => argument.Name == "parameter").Text}";
            if (inference.Layers[operation.Layer].Parameters?.Any(p => p.Name == name) != true)
            {
                problems.Add(new(ProblemKind.TieImpossible, new PlanSite(SiteKind.Operation, i), name, $"stage {assignment.Operations[i]} uses it, but its shape is not known at compile time"));
            }
            else if (OwnerOf(name) is { } owner)
            {
                Use(owner, new(assignment.Operations[i], -1, owner, i));
            }
        }

        return uses.OrderBy(use => LayerOf(use.Key)).ThenBy(use => use.Key, StringComparer.Ordinal).Select(use => PlanOf(use.Key, use.Value)).ToEquatableArray();
    }

    private TiePlan PlanOf(string name, List<TiedUse> uses)
    {
        int layer = LayerOf(name);
        EquatableArray<long> shape = inference.Layers[layer].Parameters!.Value.First(p => p.Name == name).Shape;
        return new(name, layer, model.Layers[layer].Stage!.Value, shape, uses.ToEquatableArray());
    }

    /// <summary>The parameter that a tied one is in the end; null for a circle.</summary>
    private string? OwnerOf(string name)
    {
        for (int steps = 0; steps <= owners.Count; steps++)
        {
            if (!owners.TryGetValue(name, out string? next))
            {
                return name;
            }

            name = next;
        }

        return null;
    }

    /// <summary>The layer that a name begins with; the longest where several do.</summary>
    private int LayerOf(string name) => Enumerable.Range(0, model.Layers.Count)
        .Where(i => name == model.Layers[i].Name || name.StartsWith(model.Layers[i].Name + ".", StringComparison.Ordinal))
        .OrderByDescending(i => model.Layers[i].Name.Length)
        .DefaultIfEmpty(-1)
        .First();

    private string Inner(string parameter, int layer) => parameter.Substring(model.Layers[layer].Name.Length).TrimStart('.');

    private bool IsDirect(int layer, string inner) =>
        inner is "weight" or "bias" && model.Layers[layer].Kind.StartsWith("TorchSharp.", StringComparison.Ordinal);

    private void Refuse(int layer, string reason) =>
        problems.Add(new(ProblemKind.TieImpossible, new PlanSite(SiteKind.Layer, layer), model.Layers[layer].Name, reason));

    private static string Text(ParameterPlan parameter) => "(" + string.Join(", ", parameter.Shape) + ")";
}
