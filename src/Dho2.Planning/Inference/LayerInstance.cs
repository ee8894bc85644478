using System.Collections.Generic;
using System.Linq;
using Dho2.Planning.Catalogue;

namespace Dho2.Planning.Inference;

/// <summary>A layer with what the catalogue says about it: its parameters, its buffers, and how it acts.</summary>
internal sealed class LayerInstance
{
    public LayerInstance(LayerDescription description, string prefix, DType elements, System.Action<PlanProblem> report, PlanSite site)
    {
        Description = description;
        Name = prefix + description.Name;
        Settings = new(description.Arguments, static _ => SymbolicUnknown.Constant);
        if (description.Body is { } body)
        {
            Children = body.Layers
                .Select((l, i) => new LayerInstance(l, Name + ".", elements, report, site))
                .ToArray();
        }

        Rule = LayerCatalogue.Find(description.Kind);
        Facts = FactsOf(elements, report, site);
    }

    public LayerDescription Description { get; }

    /// <summary>Its name within the model.</summary>
    public string Name { get; }

    /// <summary>The arguments that it was made with.</summary>
    public ArgumentReader Settings { get; }

    /// <summary>The layers inside it.</summary>
    public IReadOnlyList<LayerInstance> Children { get; } = [];

    /// <summary>The catalogue's entry; null where there is none.</summary>
    public LayerRule? Rule { get; }

    /// <summary>What it owns.</summary>
    public LayerFacts Facts { get; }

    /// <summary>Whether it has, or may have, parameters.</summary>
    public bool MayHaveParameters => Facts.Parameters is not { Count: 0 };

    private LayerFacts FactsOf(DType elements, System.Action<PlanProblem> report, PlanSite site)
    {
        if (Rule is { } rule)
        {
            var owner = new LayerOwner(this, elements, report, site);
            rule.Own(owner);
            return owner.Build();
        }

        // An interpreted module owns what its layers own, bare parameters before modules.
        return Description.Body is null
            ? new(null, null)
            : new(Join(Children, c => c.Facts.Parameters), Join(Children, c => c.Facts.Buffers));
    }

    private static EquatableArray<ParameterPlan>? Join(
        IReadOnlyList<LayerInstance> children, System.Func<LayerInstance, EquatableArray<ParameterPlan>?> of)
    {
        LayerInstance[] ordered = children.OrderBy(c => c.Description.Kind == LayerCatalogue.Parameter ? 0 : 1).ToArray();
        return ordered.All(c => of(c) is not null) ? ordered.SelectMany(c => of(c)!.Value).ToEquatableArray() : null;
    }
}
