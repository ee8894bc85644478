namespace Dho2.Planning;

/// <summary>
/// A model as its source states it, without positions: attributes, layers and the operations of <c>forward</c> in
/// evaluation order. Everything that planning needs, and nothing that changes when only comments or positions do.
/// </summary>
/// <remarks>
/// Values are numbered: value <c>i &lt; Inputs.Count</c> is input <c>i</c>; value <c>Inputs.Count + j</c> is the result
/// of operation <c>j</c>.
/// </remarks>
/// <param name="Name">The simple class name.</param>
/// <param name="MetadataName">The full metadata name, such as <c>Samples.Outer+MnistNet</c>.</param>
/// <param name="Options">What the attributes say.</param>
/// <param name="Inputs">The parameters of <c>forward</c>, in order.</param>
/// <param name="Targets">The parameters of <c>Loss</c> after the model's output, in order.</param>
/// <param name="Layers">The layers, in source order.</param>
/// <param name="Operations">The operations of <c>forward</c>, in evaluation order.</param>
/// <param name="Statements">The statements of <c>forward</c>, in source order.</param>
/// <param name="Results">The values that <c>forward</c> returns, in order (one, or the elements of a tuple).</param>
/// <param name="Loss">
/// The inside of <c>Loss</c>, whose inputs are the results and then the targets; null where there is none or it was not understood.
/// </param>
public sealed record ModelDescription(
    string Name,
    string MetadataName,
    ModelOptions Options,
    EquatableArray<InputDescription> Inputs,
    EquatableArray<InputDescription> Targets,
    EquatableArray<LayerDescription> Layers,
    EquatableArray<Operation> Operations,
    EquatableArray<StatementDescription> Statements,
    EquatableArray<int> Results,
    ModuleBody? Loss = null);

/// <summary>What the attributes of a pipeline class say; an attribute that is absent leaves its defaults.</summary>
/// <param name="MicroBatches">Micro-batches per step.</param>
/// <param name="Schedule">The schedule.</param>
/// <param name="Base">The base optimizer.</param>
/// <param name="Replicas">Replicas of the pipeline.</param>
/// <param name="Batch">Samples per step and replica.</param>
/// <param name="DeviceMemory">Bytes of a device that holds a stage; null where not stated.</param>
/// <param name="Curvature">The curvature; null where the class has no <c>[Curvature]</c> and no layer a rank.</param>
/// <param name="Admm">ADMM; null where the class has no <c>[Admm]</c>.</param>
/// <param name="DType">The element type that the model computes in; beside bfloat16, what is trained is float32.</param>
/// <param name="StagesPerRank">Stages that one rank holds; 0 leaves it to the schedule.</param>
/// <param name="Stages">Stages to make where layers leave theirs to the planner; 0 leaves their number to it too.</param>
/// <param name="DeviceName">The device in the table of <see cref="DeviceProfile.Named"/>; null where none is named.</param>
public sealed record ModelOptions(
    int MicroBatches,
    Schedule Schedule,
    BaseKind Base,
    int Replicas,
    int Batch,
    long? DeviceMemory,
    CurvatureOptions? Curvature,
    AdmmOptions? Admm,
    DType DType = DType.Float32,
    int StagesPerRank = 0,
    int Stages = 0,
    string? DeviceName = null)
{
    /// <summary>What times are priced by.</summary>
    public DeviceProfile Profile => (DeviceName is null ? null : DeviceProfile.Find(DeviceName)) ?? DeviceProfile.Default;

    /// <summary>Whether base optimizer state and curvature are shared out over the replicas of a stage.</summary>
    public bool ShardsOptimizer { get; init; }

    /// <summary>The stages that recompute their activations, as the class or a run states them; null where neither does.</summary>
    public RecomputeOptions? Recompute { get; init; }
}

/// <summary>The stages that recompute their activations, as the pipeline class or a run states them.</summary>
/// <param name="All">All of them.</param>
/// <param name="Stages">Their numbers, where not all.</param>
public sealed record RecomputeOptions(bool All, EquatableArray<int> Stages)
{
    /// <summary>No stage.</summary>
    public static RecomputeOptions None { get; } = new(false, default);

    /// <summary>All stages.</summary>
    public static RecomputeOptions Everywhere { get; } = new(true, default);

    /// <summary>Whether these are all, as for one run: what layers say does not count.</summary>
    public bool OverridesLayers { get; init; }

    /// <summary>Some stages.</summary>
    /// <param name="stages">Their numbers.</param>
    public static RecomputeOptions Of(params int[] stages) => new(false, stages.ToEquatableArray());
}

/// <summary>Curvature as the attributes state it.</summary>
/// <param name="Rank">Largest eigenpairs kept (k).</param>
/// <param name="Smallest">Smallest eigenpairs kept (l).</param>
/// <param name="Every">Steps between two estimates.</param>
/// <param name="Warmup">The step before which the first estimate is made.</param>
/// <param name="Batch">Samples in the curvature batch; 0 means the training batch.</param>
/// <param name="Alpha">Rate of the Newton part.</param>
/// <param name="MaxScale">Largest raise of the base rate.</param>
/// <param name="Scope">One subspace for the model, or one per stage, resolved: a layer's rank makes it per stage unless the attribute says otherwise.</param>
/// <param name="Order">Products of an estimate at most (m); 0 for the default.</param>
/// <param name="Mode">When estimates are made, against training.</param>
/// <param name="Delay">Steps between a snapshot and what dedicated ranks make of it; 0 leaves it to the plan.</param>
public sealed record CurvatureOptions(
    int Rank,
    int Smallest,
    int Every,
    int Warmup,
    int Batch,
    double Alpha,
    double MaxScale,
    CurvatureScope Scope,
    int Order = 0,
    CurvatureMode Mode = CurvatureMode.Blocking,
    int Delay = 0);

/// <summary>ADMM as the attributes state it.</summary>
/// <param name="Period">Local steps between two rounds (H).</param>
/// <param name="Sigma">Weight of the proximal term.</param>
/// <param name="Relaxation">Over-relaxation (a).</param>
/// <param name="Rule">The update rule.</param>
public sealed record AdmmOptions(int Period, double Sigma, double Relaxation, AdmmRule Rule)
{
    /// <summary>Whether each replica estimates the curvature of its own samples alone, in place of one estimate shared by all.</summary>
    public bool LocalCurvature { get; init; }
}

/// <summary>One input or target: the batch dimension is not part of <paramref name="Dimensions"/>.</summary>
/// <param name="Name">The parameter's name.</param>
/// <param name="Dimensions">The dimensions after the batch; null where no attribute states them.</param>
/// <param name="DType">The element type.</param>
public sealed record InputDescription(string Name, EquatableArray<DimensionDescription>? Dimensions, DType DType);

/// <summary>One stated dimension: a number, or a symbol.</summary>
/// <param name="Size">The number; 0 where <paramref name="Symbol"/> is given.</param>
/// <param name="Symbol">The symbol, or null.</param>
public sealed record DimensionDescription(long Size, string? Symbol);

/// <summary>One layer: a field, property, <c>Parameter</c> or constructor assignment of the pipeline class, or a child of such a layer.</summary>
/// <param name="Name">The member's name, which is also the prefix of its parameters' names.</param>
/// <param name="Kind">
/// What makes it: the full name of a TorchSharp factory or type such as <c>TorchSharp.torch.nn.Conv2d</c>;
/// <c>parameter</c> for a <c>Parameter</c> (argument <c>shape</c>: a list, where known); <c>module</c> for a user's module class that was interpreted (see
/// <paramref name="Body"/>); <c>unknown</c> for anything else.
/// </param>
/// <param name="TypeName">The declared type as C# text with <c>global::</c> names.</param>
/// <param name="Arguments">The factory's arguments by parameter name, defaults filled in.</param>
/// <param name="Stage">The stage by its own attribute or its type's; null where there is none, or the planner chooses.</param>
/// <param name="CurvatureRank">The rank by its own attribute or its type's; null where there is none.</param>
/// <param name="Body">
/// Layers and operations of an interpreted module; or the children of a container such as <c>Sequential</c>, by their
/// registered names and without operations.
/// </param>
/// <param name="DeviceMemory">Bytes of the device of the layer's stage, by its type's own <c>[Device]</c>; null where not stated.</param>
/// <param name="StageIsAutomatic">Whether the attribute leaves the stage to the planner; <paramref name="Stage"/> is null then.</param>
/// <param name="TiedTo">The layer or parameter that its parameters are tied to, such as <c>tokens</c> or <c>tokens.weight</c>; null for none.</param>
public sealed record LayerDescription(
    string Name,
    string Kind,
    string TypeName,
    EquatableArray<Argument> Arguments,
    int? Stage,
    int? CurvatureRank,
    ModuleBody? Body,
    long? DeviceMemory = null,
    bool StageIsAutomatic = false,
    string? TiedTo = null)
{
    /// <summary>Whether the layer's stage recomputes its activations, by the layer's own attribute or its type's.</summary>
    public bool Recomputes { get; init; }
}

/// <summary>
/// The inside of an interpreted module, numbered like <see cref="ModelDescription"/>: values <c>0 .. InputCount - 1</c>
/// are the parameters of its <c>forward</c>.
/// </summary>
/// <param name="InputCount">Parameters of its <c>forward</c>.</param>
/// <param name="Layers">Its layers.</param>
/// <param name="Operations">Its operations.</param>
/// <param name="Results">The values it returns.</param>
public sealed record ModuleBody(
    int InputCount,
    EquatableArray<LayerDescription> Layers,
    EquatableArray<Operation> Operations,
    EquatableArray<int> Results);

/// <summary>One call, operator or indexer in <c>forward</c>, with one result.</summary>
/// <param name="Name">
/// The canonical name: <c>layer</c> for a call of a layer's <c>forward</c>; the full name of a static method such as
/// <c>TorchSharp.torch.nn.functional.relu</c>; <c>Tensor.flatten</c> for an instance method, property or indexer
/// (<c>Tensor.shape</c>, <c>Tensor.this[]</c>) of a tensor; <c>operator +</c> and so on (arguments <c>left</c> and
/// <c>right</c>, or <c>operand</c>); <c>tuple</c> for a tuple (arguments <c>0</c>, <c>1</c>, ...) and <c>item</c> for one
/// element of a tuple, array or list (arguments <c>this</c> and <c>index</c>), so that <c>x.shape[0]</c> is a
/// <c>Tensor.shape</c> and an <c>item</c>; <c>read</c> for a parameter-typed layer used as a tensor, or (argument <c>parameter</c>: its name) for a parameter of a layer such as <c>tokens.weight</c>; <c>opaque</c> for
/// what is copied as a whole and not understood.
/// </param>
/// <param name="Arguments">Receiver first (named <c>this</c>), then the arguments by parameter name, defaults filled in.</param>
/// <param name="Layer">The layer used, as an index into <see cref="ModelDescription.Layers"/>; -1 where none is.</param>
/// <param name="Statement">The statement that contains it, as an index into <see cref="ModelDescription.Statements"/>; -1 in a <see cref="ModuleBody"/>.</param>
/// <param name="TypeName">The C# type of the result with <c>global::</c> names.</param>
public sealed record Operation(
    string Name,
    EquatableArray<Argument> Arguments,
    int Layer,
    int Statement,
    string TypeName);

/// <summary>The form of an <see cref="Argument"/>.</summary>
public enum ArgumentKind
{
    /// <summary>The result of another operation, or an input: see <see cref="Argument.Value"/>.</summary>
    Value,

    /// <summary>A constant integer.</summary>
    Integer,

    /// <summary>A constant floating-point number.</summary>
    Number,

    /// <summary>A constant truth value.</summary>
    Boolean,

    /// <summary>A constant text, or the name of an enum member.</summary>
    Text,

    /// <summary>The null reference, or an optional argument left at null.</summary>
    Null,

    /// <summary>
    /// A list, array or tuple of arguments. A range of an indexer is a list of <c>start</c>, <c>stop</c> and <c>step</c>,
    /// null where open, counted from the end where negative; <c>TensorIndex.Ellipsis</c>, <c>Colon</c> and <c>None</c> are texts.
    /// </summary>
    List,

    /// <summary>Something that is not known at compile time.</summary>
    Unknown,

    /// <summary>
    /// In a <see cref="ModuleDescription"/> alone: an expression over the parameters of its constructor, such as <c>width</c>
    /// or <c>(2*width)</c>.
    /// </summary>
    Parameter,
}

/// <summary>One argument of an operation or of a layer's factory.</summary>
/// <param name="Name">The parameter's name; empty inside a list.</param>
/// <param name="Kind">Its form.</param>
/// <param name="Value">The value's number (<see cref="ArgumentKind.Value"/>), or -1.</param>
/// <param name="Integer">The integer, or 1 for true; 1 for an expression over parameters that is an integer.</param>
/// <param name="Number">The floating-point number.</param>
/// <param name="Text">The text, or the expression over parameters.</param>
/// <param name="Items">The elements of a list.</param>
public sealed record Argument(
    string Name,
    ArgumentKind Kind,
    int Value = -1,
    long Integer = 0,
    double Number = 0,
    string? Text = null,
    EquatableArray<Argument> Items = default)
{
    /// <summary>An argument that refers to a value.</summary>
    public static Argument OfValue(string name, int value) => new(name, ArgumentKind.Value, Value: value);

    /// <summary>A constant integer.</summary>
    public static Argument OfInteger(string name, long value) => new(name, ArgumentKind.Integer, Integer: value);

    /// <summary>A constant floating-point number.</summary>
    public static Argument OfNumber(string name, double value) => new(name, ArgumentKind.Number, Number: value);

    /// <summary>A constant truth value.</summary>
    public static Argument OfBoolean(string name, bool value) => new(name, ArgumentKind.Boolean, Integer: value ? 1 : 0);

    /// <summary>A constant text or enum member.</summary>
    public static Argument OfText(string name, string value) => new(name, ArgumentKind.Text, Text: value);

    /// <summary>The null reference.</summary>
    public static Argument OfNull(string name) => new(name, ArgumentKind.Null);

    /// <summary>A list.</summary>
    public static Argument OfList(string name, EquatableArray<Argument> items) => new(name, ArgumentKind.List, Items: items);

    /// <summary>An expression over the parameters of a constructor.</summary>
    public static Argument OfParameter(string name, string expression, bool isInteger) =>
        new(name, ArgumentKind.Parameter, Integer: isInteger ? 1 : 0, Text: expression);

    /// <summary>Something not known at compile time.</summary>
    public static Argument OfUnknown(string name) => new(name, ArgumentKind.Unknown);
}

/// <summary>One statement of <c>forward</c>: what it reads and writes, by variable and value.</summary>
/// <param name="Reads">Variables read from earlier statements, with the value each holds then.</param>
/// <param name="Writes">Variables that hold a new value after the statement, with that value.</param>
/// <param name="Pieces">
/// Whether the statement may be cut at its operations (a plain declaration, assignment, expression or return); where
/// false, as for a loop or a conditional, it is copied as a whole, all its layers must share a stage, and it has at least
/// one operation (an <c>opaque</c> one where nothing in it is understood).
/// </param>
public sealed record StatementDescription(
    EquatableArray<VariableValue> Reads,
    EquatableArray<VariableValue> Writes,
    bool Pieces);

/// <summary>A variable and the value it holds at one point.</summary>
/// <param name="Variable">The variable's name.</param>
/// <param name="Value">The value's number.</param>
public sealed record VariableValue(string Variable, int Value);
