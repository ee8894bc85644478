using System;
using System.Collections.Generic;
using System.Linq;

namespace Dho2.Planning.Inference;

/// <summary>Takes down, in registration order, the parameters and buffers that a layer's rule names.</summary>
internal sealed class LayerOwner
{
    private readonly LayerInstance layer;
    private readonly DType elements;
    private readonly Action<PlanProblem> report;
    private readonly PlanSite site;
    private readonly List<ParameterPlan> parameters = [];
    private readonly List<ParameterPlan> buffers = [];
    private bool isKnown = true;

    public LayerOwner(LayerInstance layer, DType elements, Action<PlanProblem> report, PlanSite site)
    {
        this.layer = layer;
        this.elements = elements;
        this.report = report;
        this.site = site;
    }

    /// <summary>The arguments that the layer was made with.</summary>
    public ArgumentReader Settings => layer.Settings;

    /// <summary>The layers inside it.</summary>
    public IReadOnlyList<LayerInstance> Children => layer.Children;

    /// <summary>Whether it is known what is inside.</summary>
    public bool HasBody => layer.Description.Body is not null;

    /// <summary>The layer's name, for messages.</summary>
    public string Name => layer.Name;

    /// <summary>Adds a parameter (with the layer's own name where <paramref name="name"/> is empty); sizes that are not numbers make all that the layer owns unknown.</summary>
    public void Parameter(string name, params long?[] shape) => Add(parameters, name, elements, shape);

    /// <summary>Adds a parameter of the type that parameters are trained in, where the layer keeps to that.</summary>
    public void UnroundedParameter(string name, params long?[] shape) => Add(parameters, name, ElementTypes.MasterOf(elements), shape);

    /// <summary>Adds a buffer of the type that parameters are trained in, where the layer keeps to that.</summary>
    public void UnroundedBuffer(string name, params long?[] shape) => Add(buffers, name, ElementTypes.MasterOf(elements), shape);

    /// <summary>Adds a buffer of the model's element type.</summary>
    public void Buffer(string name, params long?[] shape) => Add(buffers, name, elements, shape);

    /// <summary>Adds a buffer of another element type.</summary>
    public void Buffer(string name, DType type, params long?[] shape) => Add(buffers, name, type, shape);

    /// <summary>Adds all that a child owns.</summary>
    public void Child(LayerInstance child)
    {
        isKnown &= child.Facts.Parameters is not null && child.Facts.Buffers is not null;
        parameters.AddRange(child.Facts.Parameters ?? default);
        buffers.AddRange(child.Facts.Buffers ?? default);
    }

    /// <summary>What the layer owns cannot be known.</summary>
    public void Unknown() => isKnown = false;

    /// <summary>Reports an argument that the layer's factory provably refuses.</summary>
    public void Refuse(string message, string? argument = null)
    {
        isKnown = false;
        report(new(ProblemKind.ArgumentRefused, site with { Argument = argument }, message));
    }

    public LayerFacts Build() =>
        isKnown ? new(parameters.ToEquatableArray(), buffers.ToEquatableArray()) : new(null, null);

    private void Add(List<ParameterPlan> list, string name, DType type, long?[] shape)
    {
        isKnown &= shape.All(s => s is >= 0);
        if (isKnown)
        {
            list.Add(new(name.Length == 0 ? layer.Name : $"{layer.Name}.{name}", shape.Select(s => s!.Value).ToEquatableArray(), type));
        }
    }
}
