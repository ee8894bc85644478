using System.Collections.Generic;
using System.Linq;
using System.Runtime.CompilerServices;
using System.Threading;
using Dho2.Planning.Catalogue;

namespace Dho2.Planning.Inference;

/// <summary>Walks through a model's operations and asks the catalogue about each.</summary>
internal sealed class ModelInterpreter
{
    // Modules inside modules: far more than people write, and no danger to the stack.
    private const int MaxDepth = 64;

    private readonly ModelDescription model;
    private readonly CancellationToken cancellation;
    private readonly List<PlanProblem> problems = [];
    private readonly Dictionary<SymbolicTensor, string> origins = new(IdentityComparer.Instance);
    private readonly List<TensorMemory> memories = [];
    private readonly HashSet<int> exempt = [];
    private int depth;

    private readonly IReadOnlyList<TensorType>? inputs;

    /// <param name="model">The model.</param>
    /// <param name="cancellation">Ends the work early.</param>
    /// <param name="inputs">Tensors that may carry gradients in place of the inputs that the model states; null for those.</param>
    public ModelInterpreter(ModelDescription model, CancellationToken cancellation, IReadOnlyList<TensorType>? inputs = null)
    {
        this.model = model;
        this.cancellation = cancellation;
        this.inputs = inputs;
    }

    /// <summary>The element type of parameters and floating-point inputs.</summary>
    public DType Elements => model.Options.DType;

    public InferenceResult Run()
    {
        LayerInstance[] layers = model.Layers
            .Select((l, i) => new LayerInstance(l, "", Elements, Report, new(SiteKind.Layer, i)))
            .ToArray();
        var values = new List<Symbolic>(inputs is null
            ? model.Inputs.Select((input, i) => InputOf(input, new(SiteKind.Input, i)))
            : inputs.Select(t => Make(t.Shape, t.DType, true)));
        var facts = new List<OperationFacts>();
        for (int i = 0; i < model.Operations.Count; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            var builder = new FactsBuilder();
            values.Add(Evaluate(model.Operations[i], layers, values, builder, new(SiteKind.Operation, i)));
            facts.Add(builder.Build());
        }

        OperationFacts? loss = model.Loss is { } body ? LossOf(body, values) : null;
        return new(
            values.Select(v => v.ToInferred()).ToEquatableArray(),
            values.Select(v => v is SymbolicTensor tensor && !IsExempt(tensor) ? MemoryOf(tensor) : (TensorMemory?)null).ToEquatableArray(),
            layers.Select(l => l.Facts).ToEquatableArray(),
            facts.ToEquatableArray(),
            loss,
            problems.ToEquatableArray());
    }

    /// <summary>A tensor in memory of its own.</summary>
    public SymbolicTensor Make(EquatableArray<Dimension>? shape, DType? type, bool requiresGradient)
    {
        var tensor = new SymbolicTensor(shape, type, requiresGradient, memories.Count);
        NewMemory(tensor.Bytes, requiresGradient);
        return tensor;
    }

    public TensorMemory NewMemory(Dimension bytes, bool differentiable)
    {
        var memory = new TensorMemory(memories.Count, bytes, differentiable);
        memories.Add(memory);
        return memory;
    }

    /// <summary>The memory that a tensor lies in: a view's is its base's.</summary>
    public TensorMemory MemoryOf(SymbolicTensor tensor) => memories[tensor.Storage];

    /// <summary>Marks memory that is accounted for elsewhere, such as a parameter's.</summary>
    public void Exempt(SymbolicTensor tensor) => exempt.Add(tensor.Storage);

    public bool IsExempt(SymbolicTensor tensor) => exempt.Contains(tensor.Storage);

    public void Report(PlanProblem problem) => problems.Add(problem);

    /// <summary>What made a tensor, where that says more than its shape; null elsewhere.</summary>
    public string? OriginOf(SymbolicTensor tensor) => origins.TryGetValue(tensor, out string? origin) ? origin : null;

    /// <summary>Runs a layer inside another.</summary>
    public Symbolic CallLayer(LayerInstance layer, IReadOnlyList<Symbolic> inputs, FactsBuilder facts, PlanSite site)
    {
        EquatableArray<Argument> arguments = inputs.Select((_, i) => Argument.OfValue("", i)).ToEquatableArray();
        return CallLayer(layer, new ArgumentReader(arguments, i => inputs[i]), facts, site);
    }

    private Symbolic CallLayer(LayerInstance layer, ArgumentReader arguments, FactsBuilder facts, PlanSite site)
    {
        var context = new CallContext(this, layer.Name, arguments, layer, facts, site);
        if (layer.Rule is { } rule)
        {
            facts.BeginStep(OperandsOf(arguments.All));
            Symbolic result = rule.Forward(context);
            facts.EndStep();
            return result;
        }

        return layer.Description.Body is { } body && layer.Description.Kind == LayerCatalogue.Module
            ? RunBody(body, layer.Children, arguments.Positional.ToList(), facts, site)
            : context.Unknown();
    }

    private Symbolic RunBody(
        ModuleBody body, IReadOnlyList<LayerInstance> layers, List<Symbolic> inputs, FactsBuilder facts, PlanSite site)
    {
        // A body whose indices point nowhere comes from half-typed code: nothing is known of it.
        if (inputs.Count != body.InputCount || depth == MaxDepth)
        {
            facts.AddUnknown();
            return SymbolicUnknown.Value;
        }

        depth++;
        var values = new List<Symbolic>(inputs);
        for (int i = 0; i < body.Operations.Count; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            PlanSite inner = site.Kind == SiteKind.LossOperation
                ? site with { Index = i }
                : site with { Index = i, Path = site.Path.Concat([site.Index]).ToEquatableArray() };
            values.Add(Evaluate(body.Operations[i], layers, values, facts, inner));
        }

        depth--;
        Symbolic[] results = body.Results.Select(r => r >= 0 && r < values.Count ? values[r] : SymbolicUnknown.Value).ToArray();
        return results.Length == 1 ? results[0] : new SymbolicList(results);
    }

    private Symbolic Evaluate(
        Operation operation, IReadOnlyList<LayerInstance> layers, List<Symbolic> values, FactsBuilder facts, PlanSite site)
    {
        var arguments = new ArgumentReader(operation.Arguments, v => v >= 0 && v < values.Count ? values[v] : SymbolicUnknown.Value);
        LayerInstance? layer = operation.Layer >= 0 && operation.Layer < layers.Count ? layers[operation.Layer] : null;
        Symbolic result;
        if (operation.Name == "layer" && layer is not null)
        {
            result = CallLayer(layer, arguments, facts, site);
        }
        else
        {
            var context = new CallContext(this, OperationNames.Short(operation.Name), arguments, layer, facts, site);
            facts.BeginStep(OperandsOf(arguments.All));
            result = OperationCatalogue.Find(operation.Name) is { } rule ? rule(context) : UserOperation.Run(context) ?? NotInCatalogue(context, operation);
            facts.EndStep();
        }

        // A view hides the dimensions that its reader has in mind.
        if (result is SymbolicTensor view && arguments.All.FirstOrDefault() is SymbolicTensor source &&
            view.Storage == source.Storage && view.Shape != source.Shape)
        {
            origins[view] = $"from `{(layer is null ? OperationNames.Short(operation.Name) : layer.Name)}` of {source}";
        }

        return result;
    }

    private static IEnumerable<int> OperandsOf(IEnumerable<Symbolic> arguments) => arguments.SelectMany(argument => argument switch
    {
        SymbolicTensor tensor => [tensor.Storage],
        SymbolicList list => OperandsOf(list.Items),
        _ => [],
    });

    /// <summary>Of an operation that the catalogue does not have, only the form of its result is known.</summary>
    private Symbolic NotInCatalogue(CallContext context, Operation operation)
    {
        // A function of numbers, such as Math.Sqrt, leaves nothing behind and takes no time worth planning.
        if (!GivesNumber(operation) || context.Arguments.All.Any(a => a is not (SymbolicInteger or SymbolicNumber or SymbolicBoolean)))
        {
            context.Facts.AddUnknown();
        }

        bool differentiable = context.Layer is { MayHaveParameters: true } || operation.Name == "opaque" ||
            context.Arguments.All.Any(a => a.Differentiable);
        return operation.TypeName switch
        {
            "int" or "long" => new SymbolicInteger(Dimension.Unknown),
            "float" or "double" => new SymbolicNumber(null),
            "bool" => new SymbolicBoolean(null),
            "string" => new SymbolicText(null),
            CutBuilder.TensorTypeName => context.New(null, null, differentiable),
            _ => new SymbolicUnknown(differentiable),
        };
    }

    private static bool GivesNumber(Operation operation) => operation.TypeName is "int" or "long" or "float" or "double" or "bool";

    private Symbolic InputOf(InputDescription input, PlanSite site, DType? elements = null)
    {
        if (ShapeInference.TypeOf(input, elements ?? Elements) is { } type)
        {
            return Make(type.Shape, type.DType, requiresGradient: false);
        }

        Report(new(ProblemKind.InputWithoutShape, site, input.Name, site.Kind));
        return Make(null, null, requiresGradient: false);
    }

    private OperationFacts LossOf(ModuleBody body, List<Symbolic> values)
    {
        var facts = new FactsBuilder();
        var inputs = new List<Symbolic>();
        inputs.AddRange(model.Results.Select(r => r >= 0 && r < values.Count ? Widened(values[r], facts) : SymbolicUnknown.Value));
        inputs.AddRange(model.Targets.Select((target, i) => InputOf(target, new(SiteKind.Target, i), ElementTypes.MasterOf(Elements))));

        // Targets lie in the batch, whoever saves them.
        foreach (SymbolicTensor target in inputs.Skip(model.Results.Count).OfType<SymbolicTensor>())
        {
            Exempt(target);
        }

        RunBody(body, [], inputs, facts, new(SiteKind.LossOperation));
        return facts.Build();
    }

    // The loss is taken in the type of the parameters, whatever the model computes in.
    private Symbolic Widened(Symbolic result, FactsBuilder facts)
    {
        DType master = ElementTypes.MasterOf(Elements);
        if (master == Elements || result is not SymbolicTensor { Type: { } type } tensor || !ElementTypes.IsFloating(type) || type == master)
        {
            return result;
        }

        SymbolicTensor widened = Make(tensor.Shape, master, tensor.RequiresGradient);
        facts.AddCreated(MemoryOf(widened));
        return widened;
    }

    private sealed class IdentityComparer : IEqualityComparer<SymbolicTensor>
    {
        public static IdentityComparer Instance { get; } = new();

        public bool Equals(SymbolicTensor? x, SymbolicTensor? y) => ReferenceEquals(x, y);

        public int GetHashCode(SymbolicTensor tensor) => RuntimeHelpers.GetHashCode(tensor);
    }
}
