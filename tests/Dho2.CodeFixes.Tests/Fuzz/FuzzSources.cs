using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using Dho2.Tests.Shared;

namespace Dho2.CodeFixes.Tests.Fuzz;

/// <summary>A source that is mutated.</summary>
/// <param name="Name">What it is called.</param>
/// <param name="Text">The source.</param>
/// <param name="Companions">The other sources of its project, which stay as they are.</param>
internal sealed record FuzzSource(string Name, string Text, IReadOnlyList<string> Companions);

/// <summary>What is mutated: the samples' models and their modules, and one with everything that a model can have.</summary>
internal static class FuzzSources
{
    /// <summary>
    /// The sources: each model of a sample beside the module classes that it is made of, and each of these beside a model
    /// that uses it.
    /// </summary>
    public static IReadOnlyList<FuzzSource> All { get; } =
    [
        .. Directory.EnumerateDirectories(BuildMetadata.RepositoryPath("samples")).Order(StringComparer.Ordinal).SelectMany(OfSample),
        new FuzzSource("Rich", Rich, []),
        new FuzzSource("Lists", Lists, []),
    ];

    private static IEnumerable<FuzzSource> OfSample(string directory)
    {
        (string Name, string Text)[] files =
        [
            .. Directory.EnumerateFiles(directory, "*.cs").Order(StringComparer.Ordinal)
                .Select(file => (Path.GetFileName(file), File.ReadAllText(file)))
                .Where(file => file.Item2.Contains(": Module<", StringComparison.Ordinal)),
        ];
        (string Name, string Text)[] models = [.. files.Where(file => file.Text.Contains("[Pipeline(", StringComparison.Ordinal))];
        (string Name, string Text)[] modules = [.. files.Except(models)];
        return models.Select(model => new FuzzSource(model.Name, model.Text, [.. modules.Select(module => module.Text)]))
            .Concat(modules.Select(module => new FuzzSource(
                module.Name, module.Text, [.. modules.Append(models[^1]).Where(other => other != module).Select(other => other.Text)])));
    }

    private const string Usings =
        """
        using System;
        using System.Linq;
        using System.Collections.Generic;
        using Dho2;
        using TorchSharp;
        using TorchSharp.Modules;
        using static TorchSharp.torch;
        using static TorchSharp.torch.nn;
        using static TorchSharp.torch.nn.functional;

        namespace Samples;

        """;

    private const string Rich = Usings +
        """
        [Pipeline(MicroBatches = 4, Schedule = Schedule.GPipe, Base = BaseKind.Nesterov)]
        [Input(3, 8, 8, Batch = 128), Input("T", DType = DType.Int64, Name = "tokens")]
        [Target(DType = DType.Int64)]
        [Device(Memory = "8 GiB")]
        [Curvature(Rank = 4, Every = 100, Scope = CurvatureScope.Stage)]
        [Admm(Period = 8, Sigma = 0.2, Relaxation = 1.1)]
        public partial class Net : Module<Tensor, Tensor, Tensor>
        {
            private const int Width = 8;
            [Stage(0), CurvatureRank(2)] private readonly Conv2d conv = Conv2d(3, Width, 3, padding: 1);
            [Stage(0)] private readonly Dropout drop = Dropout(0.1);
            [Stage(1)] private readonly Embedding table = Embedding(100, Width);
            [Stage(1)] private readonly Sequential tail = Sequential(("a", Linear(Width, 16)), ("b", ReLU()));
            private readonly Head head;

            public Net() : base(nameof(Net))
            {
                head = new Head(16, classes: 10);
                RegisterComponents();
            }

            public override Tensor forward(Tensor x, Tensor tokens)
            {
                Tensor skip = drop.forward(relu(conv.forward(x)));
                long batch = skip.shape[0];
                var (mean, scale) = (skip.mean([2L, 3L]), 0.5);
                var words = table.forward(tokens).mean([1L]);
                x = tail.forward((mean * scale) + words).view(batch, -1);
                return head.forward(x);
            }

            private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
        }

        [Stage(1), CurvatureRank(3)]
        public class Head : Module<Tensor, Tensor>
        {
            private readonly Linear inner;

            public Head(long features, long classes) : base(nameof(Head))
            {
                inner = Linear(features, classes);
                RegisterComponents();
            }

            public override Tensor forward(Tensor x) => inner.forward(x);
        }
        """;

    private const string Lists = Usings +
        """
        [Pipeline(MicroBatches = 2)]
        [Input(8, Batch = 16)]
        [Target]
        public partial class Net : Module<Tensor, Tensor>
        {
            [Stage(0), Stage(1, From = 2)]
            private readonly ModuleList<Block> blocks = new(Enumerable.Range(0, 3).Select(i => new Block(8, i > 1 ? 2 : 1)).ToArray());
            [Stage(1)] private readonly Linear[] tail = Tail(2);
            [Stage(1)] private readonly Linear head = Linear(8, 4);

            private static Linear[] Tail(int count)
            {
                var made = new Linear[count];
                for (int i = 0; i < count; i++)
                {
                    made[i] = Linear(8, 8);
                }

                return made;
            }

            public override Tensor forward(Tensor x)
            {
                foreach (var block in blocks)
                {
                    x = block.forward(x);
                }

                for (int i = 0; i < tail.Length; i++)
                {
                    var h = tail[i].forward(x);
                    x = i % 2 == 0 ? relu(h) : h + x;
                }

                return head.forward(x);
            }

            private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
        }

        public sealed class Block : Module<Tensor, Tensor>
        {
            private readonly Linear first;
            private readonly Sequential? shortcut;

            public Block(int width, int stride = 1) : base("Block")
            {
                first = Linear(width, width);
                if (stride != 1)
                {
                    shortcut = Sequential(Linear(width, width));
                }

                RegisterComponents();
            }

            public override Tensor forward(Tensor x)
            {
                Tensor y = relu(first.forward(x));
                return shortcut is null ? y + x : y + shortcut.forward(x);
            }
        }
        """;
}
