using Dho2.Modeling.Tests;

namespace Dho2.Generators.Tests;

/// <summary>Models of many layers, as people write them: module classes with arguments, lists of them, and loops.</summary>
internal static class LargeModels
{
    /// <summary>The ResNet with 110 layers for small images (He et al. 2016), over four stages; blocks made by loops in the constructor.</summary>
    public static string ResNet110 { get; } = ModelSource.Net(
        name: "ResNet110",
        attributes: "[Pipeline(MicroBatches = 2)]\n[Input(3, 8, 8, Batch = 4)]\n[Target]",
        layers: """
                private const int Width = 2;

                [Stage(0)] private readonly Conv2d conv1 = Conv2d(3, Width, 3, padding: 1, bias: false);
                [Stage(0)] private readonly BatchNorm2d bn1 = BatchNorm2d(Width);
                [Stage(0), Stage(1, From = 13), Stage(2, From = 27), Stage(3, From = 41)]
                private readonly ModuleList<BasicBlock> blocks;
                [Stage(3)] private readonly AdaptiveAvgPool2d pool = AdaptiveAvgPool2d(1);
                [Stage(3)] private readonly Linear fc = Linear(4 * Width, 10);

                public ResNet110() : base("ResNet110")
                {
                    blocks = new ModuleList<BasicBlock>();
                    long planes = Width;
                    for (int group = 0; group < 3; group++)
                    {
                        long width = Width << group;
                        for (int i = 0; i < 18; i++)
                        {
                            int stride = group > 0 && i == 0 ? 2 : 1;
                            blocks.append(new BasicBlock(planes, width, stride));
                            planes = width;
                        }
                    }

                    RegisterComponents();
                }
            """,
        forward: """
                    x = relu(bn1.forward(conv1.forward(x)));
                    foreach (var block in blocks)
                    {
                        x = block.forward(x);
                    }

                    return fc.forward(pool.forward(x).flatten(1));
            """,
        after: BasicBlock);

    /// <summary>A GPT of twelve blocks (Radford et al. 2019) over four stages; blocks made by a query.</summary>
    public static string Gpt12 { get; } = Gpt(
        "private readonly ModuleList<Block> blocks = new(Enumerable.Range(0, Depth).Select(_ => new Block(Width, heads: 2)).ToArray());",
        "foreach (var block in blocks)\n        {\n            x = block.forward(x);\n        }");

    /// <summary>A residual block with a branch that is there only where sizes change.</summary>
    public const string BasicBlock =
        """
        public sealed class BasicBlock : Module<Tensor, Tensor>
        {
            private readonly Conv2d conv1;
            private readonly BatchNorm2d bn1;
            private readonly Conv2d conv2;
            private readonly BatchNorm2d bn2;
            private readonly Sequential? downsample;

            public BasicBlock(long inPlanes, long planes, long stride = 1) : base("BasicBlock")
            {
                conv1 = Conv2d(inPlanes, planes, 3, stride: stride, padding: 1, bias: false);
                bn1 = BatchNorm2d(planes);
                conv2 = Conv2d(planes, planes, 3, padding: 1, bias: false);
                bn2 = BatchNorm2d(planes);
                if (stride != 1 || inPlanes != planes)
                {
                    downsample = Sequential(Conv2d(inPlanes, planes, 1, stride: stride, bias: false), BatchNorm2d(planes));
                }

                RegisterComponents();
            }

            public override Tensor forward(Tensor x)
            {
                Tensor identity = downsample is null ? x : downsample.forward(x);
                Tensor y = relu(bn1.forward(conv1.forward(x)));
                y = bn2.forward(conv2.forward(y));
                return relu(y + identity);
            }
        }
        """;

    /// <summary>A block of a GPT, and the attention in it.</summary>
    public const string Block =
        """
        public sealed class Block : Module<Tensor, Tensor>
        {
            private readonly LayerNorm norm1;
            private readonly CausalSelfAttention attention;
            private readonly LayerNorm norm2;
            private readonly Sequential mlp;

            public Block(int width, int heads) : base("Block")
            {
                norm1 = LayerNorm(width);
                attention = new CausalSelfAttention(width, heads);
                norm2 = LayerNorm(width);
                mlp = Sequential(("up", Linear(width, 4 * width)), ("gelu", GELU()), ("down", Linear(4 * width, width)));
                RegisterComponents();
            }

            public override Tensor forward(Tensor x)
            {
                x = x + attention.forward(norm1.forward(x));
                return x + mlp.forward(norm2.forward(x));
            }
        }

        public sealed class CausalSelfAttention : Module<Tensor, Tensor>
        {
            private readonly Linear qkv;
            private readonly Linear output;
            private readonly int heads;

            public CausalSelfAttention(int width, int heads) : base("CausalSelfAttention")
            {
                this.heads = heads;
                qkv = Linear(width, 3 * width);
                output = Linear(width, width);
                RegisterComponents();
            }

            public override Tensor forward(Tensor x)
            {
                long length = x.shape[1];
                long width = x.shape[2];
                Tensor[] parts = qkv.forward(x).chunk(3, dim: -1);
                Tensor q = parts[0].view(-1, length, heads, width / heads).transpose(1, 2);
                Tensor k = parts[1].view(-1, length, heads, width / heads).transpose(1, 2);
                Tensor v = parts[2].view(-1, length, heads, width / heads).transpose(1, 2);
                Tensor scores = q.matmul(k.transpose(-2, -1)) / Math.Sqrt(width / heads);
                Tensor later = ones(length, length, dtype: torch.@bool).triu(1);
                Tensor weights = scores.masked_fill(later, double.NegativeInfinity).softmax(-1);
                return output.forward(weights.matmul(v).transpose(1, 2).reshape(-1, length, width));
            }
        }
        """;

    /// <summary>The GPT with its list of blocks declared and run in different ways.</summary>
    public static string Gpt(string blocks, string loop, string members = "") => ModelSource.Net(
        name: "Gpt",
        attributes: "[Pipeline(MicroBatches = 2)]\n[Input(\"T\", DType = DType.Int64, Batch = 4)]\n[Target(\"T\")]",
        layers: $$"""
                private const int Width = 8;
                private const int Depth = 12;

                [Stage(0)] private readonly Embedding tokens = Embedding(11, Width);
                [Stage(0)] private readonly Embedding positions = Embedding(6, Width);
                [Stage(0), Stage(1, From = 3), Stage(2, From = 6), Stage(3, From = 9)]
                {{blocks}}
                [Stage(3)] private readonly LayerNorm norm = LayerNorm(Width);
                [Stage(3)] private readonly Linear head = Linear(Width, 11);
            {{members}}
            """,
        forward: $$"""
                    Tensor x = tokens.forward(ids) + positions.forward(arange(ids.shape[1], dtype: int64));
                    {{loop}}
                    return head.forward(norm.forward(x));
            """,
        parameters: "Tensor ids",
        loss: "private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits.flatten(0, 1), labels.flatten());",
        after: Block);
}
