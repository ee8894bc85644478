using System.Collections.Generic;
using Dho2.Modeling.Tests;

namespace Dho2.Generators.Tests;

/// <summary>Models whose layers or stages share parameters, and models with inputs and values of many kinds.</summary>
internal static class SharedModels
{
    private const string Tokens = "[Pipeline(MicroBatches = 2)]\n[Input(\"T\", DType = DType.Int64, Batch = 4)]\n[Target(\"T\")]";
    private const string TokenLoss = "private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits.flatten(0, 1), labels.flatten());";

    /// <summary>Models of tokens, with the number of parameters that they have in all.</summary>
    public static IReadOnlyDictionary<string, (string Source, long Parameters)> Tied { get; } = new Dictionary<string, (string, long)>
    {
        ["HeadOfEmbedding"] = (Net(
            """
                [Stage(0)] private readonly Embedding tokens = Embedding(11, 8);
                [Stage(1)] private readonly Linear middle = Linear(8, 8);
                [Stage(2), TiedTo(nameof(tokens))] private readonly Linear head = Linear(8, 11);
            """,
            "return head.forward(middle.forward(tokens.forward(x)).tanh());"), 88 + 72 + 11),
        ["ReadOnALaterStage"] = (Net(
            """
                [Stage(0)] private readonly Embedding tokens = Embedding(11, 8);
                [Stage(1)] private readonly Linear middle = Linear(8, 8);
                [Stage(2)] private readonly LayerNorm norm = LayerNorm(8);
            """,
            "var h = middle.forward(tokens.forward(x)).tanh();\n        h = h + tokens.weight.mean([0L]);\n        return norm.forward(h).matmul(tokens.weight.t());"), 88 + 72 + 16),
        ["ReadOnAnEarlierStage"] = (Net(
            """
                [Stage(0)] private readonly Embedding tokens = Embedding(11, 8);
                [Stage(1)] private readonly Linear head = Linear(8, 11, hasBias: false);
            """,
            "return head.forward(tokens.forward(x) + head.weight.mean([0L]));"), 88 + 88),
        ["SeveralOnAStage"] = (Net(
            """
                [Stage(0)] private readonly Embedding tokens = Embedding(11, 11);
                [Stage(0), TiedTo("tokens.weight")] private readonly Linear first = Linear(11, 11);
                [Stage(1), TiedTo(nameof(tokens))] private readonly Linear second = Linear(11, 11);
                [Stage(1), TiedTo(nameof(second))] private readonly Linear third = Linear(11, 11);
                [Stage(1)] private readonly Parameter scale = Parameter(ones(11) * 0.5);
                [Stage(2)] private readonly Linear head = Linear(11, 11);
            """,
            """
                    var h = first.forward(tokens.forward(x)).tanh();
                    h = third.forward(second.forward(h).tanh()) * scale + tokens.weight.mean([0L]);
                    return head.forward(h * scale);
            """), 121 + 11 + 11 + 11 + 132),
        ["ConstructorOfItsOwn"] = (Net(
            """
                [Stage(0)] private readonly Embedding tokens;
                [Stage(1), TiedTo(nameof(tokens))] private readonly Linear head;

                public Net() : base("Net")
                {
                    tokens = Embedding(11, 8);
                    head = Linear(8, 11, hasBias: false);
                    RegisterComponents();
                }
            """,
            "return head.forward(tokens.forward(x).tanh());"), 88),
    };

    /// <summary>Sequences, integers and a mask as inputs; numbers, shapes, integers and masks over cuts.</summary>
    public static string ManyInputs { get; } = ModelSource.Net(
        attributes: """
            [Pipeline(MicroBatches = 2)]
            [Input("T", 4, Batch = 4)]
            [Input("T", DType = DType.Int64, Name = "ids")]
            [Input("T", DType = DType.Bool, Name = "mask")]
            [Target]
            """,
        layers: """
                private const double Half = 0.5;
                [Stage(0)] private readonly Linear a = Linear(4, 6);
                [Stage(1)] private readonly Embedding table = Embedding(5, 6);
                [Stage(2)] private readonly Linear b = Linear(6, 6);
                [Stage(3)] private readonly Linear head = Linear(6, 3);
            """,
        forward: """
                    long length = x.shape[1];
                    double scale = Half / length;
                    int rows = (int)x.shape[0];
                    bool isLong = length > 3;
                    var shape = x.shape;
                    Tensor h = a.forward(x).tanh();
                    Tensor place = arange(length, dtype: int64).remainder(5);
                    Tensor keep = mask.logical_not();
                    h = h + table.forward(ids) + table.forward(place);
                    h = b.forward(h).masked_fill(mask.unsqueeze(-1), 0.0);
                    h = h.view(shape[0], length, -1);
                    Tensor counts = keep.sum(new long[] { 1 }, type: ScalarType.Int64);
                    Tensor gate = where(counts > 1, counts, ones_like(counts));
                    Tensor pooled = h.sum(new long[] { 1 }) * scale / gate.unsqueeze(-1);
                    pooled = isLong ? pooled.view(rows, -1) * 2 : pooled;
                    return head.forward(pooled);
            """,
        parameters: "Tensor x, Tensor ids, Tensor mask");

    private static string Net(string layers, string forward) =>
        ModelSource.Net(layers, forward, attributes: Tokens, loss: TokenLoss);
}
