using System.Collections.Generic;
using System.Linq;

namespace Dho2.Planning.Inference;

/// <summary>One call that a rule of the catalogue judges: its arguments, its layer, and what the rule says about it.</summary>
internal sealed class CallContext
{
    private readonly ModelInterpreter interpreter;
    private readonly PlanSite site;

    public CallContext(
        ModelInterpreter interpreter, string name, ArgumentReader arguments, LayerInstance? layer, FactsBuilder facts, PlanSite site)
    {
        this.interpreter = interpreter;
        this.site = site;
        Name = name;
        Arguments = arguments;
        Layer = layer;
        Facts = facts;
    }

    /// <summary>What messages call the operation.</summary>
    public string Name { get; }

    /// <summary>The call's arguments.</summary>
    public ArgumentReader Arguments { get; }

    /// <summary>The layer that is called, or null.</summary>
    public LayerInstance? Layer { get; }

    /// <summary>The arguments that the layer was made with.</summary>
    public ArgumentReader Settings => Layer!.Settings;

    /// <summary>What the call costs.</summary>
    public FactsBuilder Facts { get; }

    /// <summary>The element type of parameters.</summary>
    public DType Elements => interpreter.Elements;

    /// <summary>The first operand: the receiver, a function's <c>input</c>, or a layer's first argument.</summary>
    public SymbolicTensor Input => Tensor(Layer is null ? Arguments.Get("this", "input", "x", "left", "operand", "tensor", "a", "input1") : LayerArgument(0));

    /// <summary>One argument of a layer's forward, by position; null where it is not given.</summary>
    public Symbolic LayerArgument(int index) => Arguments.Positional.Skip(index).FirstOrDefault() ?? SymbolicNull.Instance;

    /// <summary>A value as a tensor: a number becomes one without dimensions, anything else one of which nothing is known.</summary>
    public SymbolicTensor Tensor(Symbolic value) => value switch
    {
        SymbolicTensor tensor => tensor,
        SymbolicInteger => Existing(EquatableArray<Dimension>.Empty, DType.Int64, false),
        SymbolicNumber => Existing(EquatableArray<Dimension>.Empty, DType.Float32, false),
        SymbolicBoolean => Existing(EquatableArray<Dimension>.Empty, DType.Bool, false),
        _ => Existing(null, null, value.Differentiable),
    };

    /// <summary>A new tensor.</summary>
    public SymbolicTensor New(IEnumerable<Dimension>? shape, DType? type, bool differentiable)
    {
        SymbolicTensor tensor = interpreter.Make(shape?.ToEquatableArray(), type, differentiable);
        Facts.AddCreated(interpreter.MemoryOf(tensor));
        return tensor;
    }

    /// <summary>A tensor that is there already, such as a layer's parameter: no activation, whoever saves it.</summary>
    public SymbolicTensor Existing(IEnumerable<Dimension>? shape, DType? type, bool differentiable)
    {
        SymbolicTensor tensor = interpreter.Make(shape?.ToEquatableArray(), type, differentiable);
        interpreter.Exempt(tensor);
        return tensor;
    }

    /// <summary>A new tensor with type and gradient of another.</summary>
    public SymbolicTensor Like(SymbolicTensor tensor, IEnumerable<Dimension>? shape) => New(shape, tensor.Type, tensor.Differentiable);

    /// <summary>A tensor in the memory of another, of which only that is known.</summary>
    public static SymbolicTensor View(SymbolicTensor tensor) => tensor with { Shape = null, Strides = null };

    /// <summary>A tensor in the memory of another.</summary>
    /// <param name="tensor">The other.</param>
    /// <param name="shape">The shape.</param>
    /// <param name="strides">The strides, as many as the shape has dimensions.</param>
    public static SymbolicTensor View(SymbolicTensor tensor, IEnumerable<Dimension> shape, IEnumerable<Dimension> strides)
    {
        EquatableArray<Dimension> sizes = shape.ToEquatableArray();
        EquatableArray<Dimension> steps = strides.ToEquatableArray();
        return tensor with { Shape = sizes, Strides = steps == Strides.InOrder(sizes).ToEquatableArray() ? null : steps };
    }

    /// <summary>The same elements in another shape: in the memory of the other where they lie there so, else a copy.</summary>
    /// <param name="tensor">The other.</param>
    /// <param name="shape">The shape.</param>
    public SymbolicTensor Reshaped(SymbolicTensor tensor, IEnumerable<Dimension> shape)
    {
        EquatableArray<Dimension> sizes = shape.ToEquatableArray();
        return tensor.Strides is not { } strides ? tensor with { Shape = sizes }
            : Strides.Reshaped(tensor.Shape!.Value, strides, sizes) is { } steps ? View(tensor, sizes, steps)
            : Like(tensor, sizes);
    }

    /// <summary>Notes a tensor that the backward needs.</summary>
    public void Save(SymbolicTensor tensor)
    {
        if (!interpreter.IsExempt(tensor))
        {
            Facts.AddSaved(interpreter.MemoryOf(tensor));
        }
    }

    /// <summary>Notes a tensor that the backward needs and the operation takes through a view of its own.</summary>
    public void SaveView(SymbolicTensor tensor)
    {
        if (!interpreter.IsExempt(tensor))
        {
            Facts.AddSaved(interpreter.MemoryOf(tensor), tensor.Bytes);
        }
    }

    /// <summary>Notes memory beside the values that the backward needs, such as indices or statistics.</summary>
    public void SaveBytes(Dimension bytes) => Facts.AddSaved(interpreter.NewMemory(bytes, differentiable: false));

    /// <summary>Notes results inside the operation that the backward needs, which have derivatives as any others.</summary>
    public void SaveInner(Dimension bytes) => Facts.AddSaved(interpreter.NewMemory(bytes, differentiable: true));

    /// <summary>A result that was written into the memory of another tensor.</summary>
    public SymbolicTensor WrittenInto(SymbolicTensor target, SymbolicTensor result)
    {
        Facts.Redirect(result.Storage, interpreter.MemoryOf(target));
        return result with { Storage = target.Storage, Strides = target.Strides };
    }

    /// <summary>Reports that the call provably cannot work; what follows from it is unknown.</summary>
    public Symbolic RefuseShape(string message, string? argument = null) => Refuse(ProblemKind.ShapeMismatch, message, argument);

    /// <summary>Reports an argument that is provably refused; what follows from it is unknown.</summary>
    public Symbolic RefuseArgument(string message, string? argument = null) => Refuse(ProblemKind.ArgumentRefused, message, argument);

    /// <summary>The result is not known.</summary>
    public Symbolic Unknown()
    {
        Facts.AddUnknown();
        return SymbolicUnknown.Value;
    }

    /// <summary>Runs a child of the layer on values.</summary>
    public Symbolic Call(LayerInstance child, IReadOnlyList<Symbolic> inputs) => interpreter.CallLayer(child, inputs, Facts, site);

    /// <summary>The layer, by kind and name, or the function: the subject of a message.</summary>
    public string Describe(string kind) => Layer is { } layer ? $"{kind} '{layer.Name}'" : $"`{Name}`";

    /// <summary>Where a tensor comes from: <c>from `flatten` of (N, 32, 7, 7)</c>, or <c>in (N, 1568)</c>.</summary>
    public string Origin(SymbolicTensor tensor) => interpreter.OriginOf(tensor) ?? $"in {tensor}";

    /// <summary>Refuses operands of different element types, as products do; null where nothing is certain.</summary>
    public Symbolic? RefuseMixedTypes(SymbolicTensor a, SymbolicTensor b) =>
        a.Type is { } left && b.Type is { } right && left != right
            ? RefuseArgument($"`{Name}` needs equal element types, gets {ElementTypes.NameOf(left)} and {ElementTypes.NameOf(right)}")
            : null;

    private Symbolic Refuse(ProblemKind kind, string message, string? argument)
    {
        interpreter.Report(new(kind, site with { Argument = argument }, message));
        return Unknown();
    }
}
