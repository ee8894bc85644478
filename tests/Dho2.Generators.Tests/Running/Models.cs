using System.Collections.Generic;
using Dho2.Modeling.Tests;

namespace Dho2.Generators.Tests;

/// <summary>The models that the generator is tried on: each is compiled, run against its unsplit self, and compared symbol by symbol.</summary>
internal static class Models
{
    private const string FourLinear = """
            [Stage(0)] private readonly Linear a = Linear(8, 8);
            [Stage(1)] private readonly Linear b = Linear(8, 8);
            [Stage(2)] private readonly Linear c = Linear(8, 8);
            [Stage(3)] private readonly Linear d = Linear(8, 4);
        """;

    private const string TwoLinear = """
            [Stage(0)] private readonly Linear a = Linear(8, 8);
            [Stage(1)] private readonly Linear b = Linear(8, 4);
        """;

    public static TheoryData<string> Names => new(All.Keys);

    public static IReadOnlyDictionary<string, string> All { get; } = new Dictionary<string, string>
    {
        ["Mnist1"] = ModelSource.Mnist(0, 0, 0),
        ["Mnist2"] = ModelSource.Mnist(),
        ["Mnist4"] = ModelSource.Mnist(1, 2, 3),
        ["SkipOverOneCut"] = Net(
            "[Stage(0)] private readonly Linear a = Linear(8, 8); [Stage(1)] private readonly Linear b = Linear(8, 8); [Stage(1)] private readonly Linear c = Linear(8, 4);",
            "var h = a.forward(x).relu();\n        var y = b.forward(h).tanh();\n        return c.forward(y + h);"),
        ["SkipOverSeveralCuts"] = Net(
            FourLinear,
            "var skip = a.forward(x).relu();\n        var h = b.forward(skip).relu();\n        h = c.forward(h).relu();\n        return d.forward(h + skip);"),
        ["SeveralVersions"] = Net(
            FourLinear,
            """
                    x = a.forward(x);
                    var first = x;
                    x = x.relu();
                    var second = x;
                    x = b.forward(x) + first;
                    x = c.forward(x) - second;
                    first = x.tanh() + first;
                    return d.forward(x + first);
            """),
        ["OverwrittenBeforeTheCut"] = Net(
            TwoLinear,
            "var y = a.forward(x);\n        var kept = y;\n        y = y.sigmoid();\n        return b.forward(y * kept);"),
        ["NestedOverAllStages"] = Net(FourLinear, "return d.forward(relu(c.forward(tanh(b.forward(a.forward(x))) + x)));"),
        ["NestedOverSeveralLines"] = Net(
            FourLinear,
            """
                    var y = c.forward(
                        relu( // the comment stays
                            b.forward(
                                a.forward(x))
                            + x)
                        .tanh());
                    return d.forward(
                        y);
            """),
        ["Layers"] = Net(
            """
                [Stage(0)] private readonly Linear a = Linear(8, 8);
                [Stage(0)] private readonly BatchNorm1d norm = BatchNorm1d(8);
                [Stage(0)] private readonly Dropout drop = Dropout(0.25);
                [Stage(1)] private readonly Linear b = Linear(16, 8);
                [Stage(1)] private readonly Dropout second = Dropout(p: 0.5, inplace: true);
                [Stage(1)] private readonly Linear c = Linear(8, 4);
            """,
            "var h = drop.forward(norm.forward(a.forward(x)).relu());\n        var both = cat([h, x], 1);\n        both = second.call(b.forward(both));\n        return c.forward(both.flatten(1));"),
        ["Interleaved"] = Net(
            "[Stage(0)] private readonly Linear a = Linear(8, 8); [Stage(1)] private readonly Linear b = Linear(8, 8); [Stage(0)] private readonly Linear c = Linear(8, 8); [Stage(1)] private readonly Linear d = Linear(8, 4);",
            "var p = a.forward(x);\n        var q = b.forward(p);\n        p = c.forward(x);\n        x = d.forward(q + p);\n        return x;"),
        ["Scalars"] = Net(
            TwoLinear,
            """
                    long n = x.shape[0];
                    int rows = (int)n;
                    double scale = 1.0 / rows;
                    bool isLarge = n > 100;
                    float half = 0.5f * rows;
                    var shape = x.shape;
                    x = a.forward(x);
                    var y = b.forward(x.view(shape)).view(n, 2, -1).view(rows, 4);
                    y = isLarge ? y * 2 : y;
                    return y * scale + half;
            """),
        ["Constants"] = Net(
            TwoLinear + "\n    private readonly int hidden = 8;\n    private readonly double scale = 0.5;\n    private const double Offset = 0.25;\n    private static readonly long Rows = 4 * 2;",
            """
                    const int one = 1;
                    int columns = hidden;
                    x = a.forward(x.view(-1, columns)) * this.scale;
                    columns = 4;
                    return b.forward(x).view(-1, columns).flatten(one) + Offset + Rows;
            """),
        ["TwoInputs"] = Net(
            TwoLinear,
            "x = a.forward(x * mask);\n        return b.forward(x + mask);",
            attributes: "[Pipeline(MicroBatches = 4)]\n[Input(8, Batch = 32)]\n[Input(8, Name = \"mask\")]\n[Target]",
            parameters: "Tensor x, Tensor mask"),
        ["TwoResults"] = Net(
            TwoLinear,
            "var h = a.forward(x);\n        return (b.forward(h), h);",
            result: "(Tensor logits, Tensor features)",
            loss: "private static Tensor Loss(Tensor logits, Tensor features, Tensor labels) => cross_entropy(logits, labels) + features.pow(2).mean();"),
        ["Tuples"] = Net(
            """
                [Stage(0)] private readonly LSTM a = LSTM(8, 8, batchFirst: true);
                [Stage(1)] private readonly Linear b = Linear(8, 4);
            """,
            """
                    var (sequence, hidden, _) = a.call(x.unsqueeze(1));
                    (var left, var right) = (sequence.squeeze(1), hidden.squeeze(0));
                    (left, right) = (right, left);
                    return b.forward(left + right * 2);
            """),
        ["InPlace"] = Net(
            TwoLinear,
            """
                    x = a.forward(x);
                    var h = x;
                    h.add_(1);
                    x.mul_(2);
                    h = relu(h.sub_(1), inplace: true);
                    x = b.forward(x);
                    return x.sub_(h.narrow(1, 0, 4));
            """),
        ["InPlaceInput"] = Net(
            "[Stage(0)] private readonly Linear a = Linear(8, 8); [Stage(1)] private readonly ReLU relu1 = ReLU(inplace: true); [Stage(1)] private readonly Linear b = Linear(8, 4);",
            "x = a.forward(x);\n        var y = relu1.forward(x);\n        return b.forward(x + y);"),
        ["InPlaceNested"] = Net(
            "[Stage(0)] private readonly Linear a = Linear(8, 8); [Stage(1)] private readonly ReLU relu1 = ReLU(inplace: true); [Stage(1)] private readonly Linear b = Linear(8, 4);",
            "return b.forward(relu1.forward(a.forward(x)));"),
        ["Compound"] = Net(
            FourLinear,
            """
                    Tensor y;
                    if (x.shape[0] > 100)
                    {
                        y = a.forward(x);
                    }
                    else
                    {
                        y = a.forward(x * 2);
                    }

                    for (int i = 0; i < 3; i++)
                    {
                        y = b.forward(y).relu();
                    }

                    Tensor z = y.shape.Length > 3 ? y : c.forward(y);
                    using var temporary = z * 2;
                    z = temporary.shape.Select(size => (int)size).Sum() > 0 ? temporary + 1 : z;
                    return d.forward(z);
            """),
        ["UsingAcrossTheCut"] = Net(
            TwoLinear,
            "using var h = a.forward(x);\n        using Tensor y = h.relu();\n        using var z = b.forward(y);\n        return z + h.sum();"),
        ["CompoundAssignment"] = Net(
            TwoLinear,
            "Tensor y = x, z = a.forward(x);\n        z += y;\n        z *= 2;\n        y = z + y;\n        x = b.forward(y += z);\n        return x;"),
        ["ExpressionBody"] = Net(TwoLinear, "", forwardMember: "public override Tensor forward(Tensor x) => b.forward(relu(a.forward(x)));"),
        ["Parameters"] = Net(
            """
                [Stage(0)] private readonly Parameter scale = Parameter(ones(8));
                [Stage(0)] private readonly Linear a = Linear(8, 8);
                [Stage(1)] private readonly Parameter shift = new Parameter(zeros(4) + 0.5);
                [Stage(1)] private readonly Linear b = Linear(8, 4);
                private readonly Tensor mask = ones(8);
            """,
            "x = a.forward(x * scale);\n        return b.forward(x) + shift;"),
        ["ModuleClasses"] = Net(
            """
                private readonly Encoder encoder = new(8, width: 16);
                private readonly Decoder decoder = new Decoder(16);
            """,
            "return decoder.forward(encoder.forward(x));",
            after: """
                [Stage(0), CurvatureRank(4)]
                public sealed class Encoder : Module<Tensor, Tensor>
                {
                    private readonly Linear inner;

                    public Encoder(int inputs, int width) : base("encoder")
                    {
                        inner = Linear(inputs, width);
                        RegisterComponents();
                    }

                    public override Tensor forward(Tensor x) => relu(inner.forward(x));
                }

                [Stage(1), CurvatureRank(6)]
                public sealed class Decoder : Module<Tensor, Tensor>
                {
                    private readonly Linear inner;

                    public Decoder(int width) : base("decoder")
                    {
                        inner = Linear(width, 4);
                        RegisterComponents();
                    }

                    public override Tensor forward(Tensor x) => inner.forward(x);
                }
                """),
        ["Constructor"] = Net(
            """
                [Stage(0)] private readonly Linear a;
                [Stage(0)] private readonly Module<Tensor, Tensor> act;
                [Stage(1)] private readonly Linear b, c;
                private readonly int width;

                public Net() : this(8)
                {
                }

                private Net(int size) : base("net")
                {
                    width = size * 2;
                    int half = width / 2;
                    a = Linear(size, width);
                    this.act = ReLU();
                    b = Linear(width, half);
                    c = Linear(half, 4);
                    RegisterComponents();
                }
            """,
            "x = act.forward(a.forward(x));\n        return c.forward(b.forward(x.view(-1, width)));"),
        ["Sequential"] = Net(
            """
                [Stage(0)] private Sequential a { get; } = Sequential(Linear(8, 8), ReLU());
                [Stage(1)] private Sequential b { get; } = Sequential(("first", Linear(8, 8)), ("act", Tanh()), ("last", Linear(8, 4)));
            """,
            "return b.forward(a.forward(x));"),
        ["PassedLayer"] = Net(
            TwoLinear + "\n    private static Tensor Apply(Linear layer, Tensor x) => layer.forward(x);",
            "x = Apply(a, x);\n        return b.forward(x) + b.weight.sum() + b.bias!.sum();"),
        ["Names"] = Net(
            """
                [Stage(0)] private readonly Linear context = Linear(8, 8);
                [Stage(1)] private readonly Linear @class = Linear(8, 4);
                private const int Pipeline = 2;
                private static Tensor Forward(Tensor x) => x * Pipeline;
                private static class Stage0 { public const int One = 1; }
            """,
            """
                    var cut = context.forward(x);
                    var tensors = Forward(cut) + Stage0.One;
                    var @event = @class.forward(tensors);
                    return @event + cut.sum();
            """),
        ["Directives"] = Net(
            TwoLinear,
            """
            #region first
                    x = a.forward(
            #if NOTHING
                        x * 2
            #else
                        x
            #endif
                        );
            #endregion
            #pragma warning disable CS0219
                    return b.forward(x); // last
            #pragma warning restore CS0219
            """),
        ["Unchecked"] = Net(
            TwoLinear,
            "unsafe\n        {\n            long size = 8;\n            x = a.forward(x.view(-1, *&size));\n        }\n\n        return b.forward(x);",
            forwardModifiers: "unsafe "),
        ["MultipleDeclarators"] = Net(
            TwoLinear,
            "Tensor h = a.forward(x), g = h.relu(), f;\n        f = b.forward(g + h);\n        return f;"),
        ["ListByIndex"] = Net(
            """
                [Stage(0), Stage(1, From = 2)] private readonly Linear[] layers = [Linear(8, 8), Linear(8, 8), Linear(8, 8, false)];
                [Stage(1)] private readonly Linear head = Linear(8, 4);
            """,
            """
                    for (int i = 0; i < layers.Length; i++)
                    {
                        Tensor h = layers[i].forward(x), scaled = h * (i + 1);
                        x = i % 2 == 0 ? relu(scaled) : tanh(scaled) + h;
                    }

                    Tensor last = layers[^1].forward(x);
                    return head.forward(last + layers.Length);
            """),
        ["ListNested"] = Net(
            """
                [Stage(0), Stage(1, From = 1), Stage(2, From = 2)] private readonly ModuleList<Linear> layers = ModuleList(Linear(8, 8), Linear(8, 8), Linear(8, 4));
            """,
            "const int first = 0;\n        return layers[2].forward(relu(layers[1].forward(relu(layers[first].forward(x)) + x)));"),
        ["ListOfAConstructor"] = Net(
            """
                [Stage(0), Stage(1, From = 2)] private readonly Linear[] layers;
                [Stage(1)] private readonly Linear head = Linear(8, 4);

                public Net() : base("Net")
                {
                    layers = new Linear[4];
                    for (int i = 0; i < layers.Length; i++)
                    {
                        layers[i] = Linear(8, 8, hasBias: i > 0);
                    }

                    register_module("layers", new ModuleList<Linear>(layers));
                    RegisterComponents();
                }
            """,
            """
                    foreach (Linear layer in layers)
                    {
                        var y = layer.forward(x);
                        var (a, b) = (y.relu(), y.tanh());
                        x = a - b + x;
                    }

                    foreach (var layer in layers.Skip(2))
                    {
                        x = x + layer.weight.sum();
                    }

                    return head.forward(x);
            """),
        ["ListOfAMethod"] = Net(
            """
                [Stage(0), Stage(1, From = 1)] private readonly ModuleList<Block> blocks = Blocks(3, wide: true);
                [Stage(1)] private readonly Linear head = Linear(8, 4);

                private static ModuleList<Block> Blocks(int count, bool wide)
                {
                    var list = new ModuleList<Block>();
                    for (int i = 0; i < count; i++)
                    {
                        list.Add(new Block(8, wide ? 16 : 8, i == 1));
                    }

                    return list;
                }
            """,
            "foreach (var block in blocks) x = block.forward(x);\n        return head.forward(x);",
            after: """
                public sealed class Block : Module<Tensor, Tensor>
                {
                    private readonly ModuleList<Linear> inner = new();
                    private readonly Linear? gate;

                    public Block(int width, int hidden, bool isGated) : base("Block")
                    {
                        inner.append(Linear(width, hidden));
                        inner.append(Linear(hidden, width));
                        gate = isGated ? Linear(width, width) : null;
                        RegisterComponents();
                    }

                    public override Tensor forward(Tensor x)
                    {
                        Tensor y = x;
                        for (int i = 0; i < inner.Count; i++)
                        {
                            y = relu(inner[i].forward(y));
                        }

                        if (gate != null)
                        {
                            y = y * gate.forward(x).sigmoid();
                        }

                        return y + x;
                    }
                }
                """),
        ["OptionalLayers"] = Net(
            """
                private const bool IsDeep = true;
                [Stage(0)] private readonly Linear a = Linear(8, 8);
                [Stage(0)] private readonly Linear? skipped = IsDeep ? null : Linear(8, 8);
                [Stage(1)] private readonly Linear? extra = IsDeep ? Linear(8, 8) : null;
                [Stage(1)] private readonly Linear b = Linear(8, 4);
            """,
            """
                    x = a.forward(x);
                    x = skipped is null ? x.relu() : skipped.forward(x);
                    x = skipped?.forward(x) ?? x * 2;
                    x = extra?.forward(x) ?? x;
                    if (extra is { } other)
                    {
                        x = other.forward(x) + 1;
                    }
                    else
                    {
                        x = skipped!.forward(x);
                    }

                    return b.forward(x);
            """),
        ["FurtherReads"] = Net(
            FourLinear,
            "var s = a.forward(x);\n        (Tensor u, Tensor v) = (b.forward(s), s);\n        Tensor w = c.forward(u), same = v;\n        return d.forward(w + same);"),
    };

    private static readonly System.Collections.Concurrent.ConcurrentDictionary<string, System.Lazy<Generation>> Runs = new();

    /// <summary>What is generated for a model; compiled cleanly, once.</summary>
    public static Generation Generated(string model) => Runs.GetOrAdd(model, name => new(() => Generation.Clean(All[name]))).Value;

    private static string Net(
        string layers,
        string forward,
        string attributes = ModelSource.Attributes,
        string parameters = "Tensor x",
        string result = "Tensor",
        string loss = ModelSource.Loss,
        string after = "",
        string forwardModifiers = "",
        string? forwardMember = null)
    {
        string source = ModelSource.Net(layers, forward, attributes, parameters, result, loss, after: after)
            .Replace("public override", $"public {forwardModifiers}override");
        if (forwardMember is null)
        {
            return source;
        }

        int start = source.IndexOf("    public override", System.StringComparison.Ordinal);
        int end = source.IndexOf(loss, start, System.StringComparison.Ordinal);
        return source[..start] + "    " + forwardMember + "\n\n    " + source[end..];
    }
}
