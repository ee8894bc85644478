using System;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace Dho2.Analyzers.Tests;

/// <summary>The analyzer meets code that is being typed.</summary>
public class RobustnessTests
{
    private const int Mutants = 200;

    private const string Sample = Source.Usings +
        """
        namespace Samples;

        [Pipeline(MicroBatches = 4, Schedule = Schedule.GPipe, Base = BaseKind.Nesterov)]
        [Input(3, 32, 32, Batch = 128), Input("T", DType = DType.Int64, Name = "tokens")]
        [Target(DType = DType.Int64)]
        [Device(Memory = "8 GiB")]
        [Curvature(Rank = 4, Every = 100, Scope = CurvatureScope.Stage)]
        [Admm(Period = 8, Sigma = 0.2, Relaxation = 1.1)]
        public partial class Net : Module<Tensor, Tensor, Tensor>
        {
            private const int Width = 8;

            [Stage(0), CurvatureRank(2)] private readonly Conv2d conv = Conv2d(3, Width, 3, padding: 1);
            [Stage(0)] private readonly BatchNorm2d norm = BatchNorm2d(Width);
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
                Tensor skip = drop.forward(relu(norm.forward(conv.forward(x))));
                long batch = skip.shape[0];
                if (batch > 1)
                {
                    skip = skip * 2;
                }

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

            public override Tensor forward(Tensor x)
            {
                for (int i = 0; i < 2; i++)
                {
                    x = relu(x);
                }

                return inner.forward(x);
            }
        }
        """;

    [Fact]
    public async Task The_sample_itself_is_right()
    {
        CSharpCompilation compilation = Analysis.Compile(Sample);

        Assert.Empty(Analysis.Errors(compilation));
        Assert.DoesNotContain(
            await Analysis.DiagnosticsAsync(compilation), d => d.Severity is DiagnosticSeverity.Error or DiagnosticSeverity.Warning);
    }

    [Fact]
    public async Task Half_typed_code_never_makes_it_throw()
    {
        CSharpCompilation compilation = Analysis.Compile(Sample);
        SyntaxTree tree = compilation.SyntaxTrees.Single();
        Mutator mutator = new(Sample, seed: 20);
        int analysed = 0;
        for (int i = 0; i < Mutants; i++)
        {
            string mutant = mutator.Next();
            try
            {
                var diagnostics = await Analysis.DiagnosticsAsync(
                    compilation.ReplaceSyntaxTree(tree, CSharpSyntaxTree.ParseText(mutant, Analysis.Parse, Analysis.Path)));
                analysed += diagnostics.IsEmpty ? 0 : 1;
            }
            catch (InvalidOperationException exception)
            {
                Assert.Fail($"{exception.InnerException}\n{mutant}");
            }
        }

        // Otherwise the mutants would only show that nothing is done for broken code.
        Assert.True(analysed > Mutants / 5, $"Only {analysed} of {Mutants} mutants led to a diagnostic.");
    }

    [Fact]
    public async Task More_parameters_than_can_be_counted_are_an_unknown_number()
    {
        const string Embeddings = "Embedding(100, Width);\n    [Stage(1)] private readonly Embedding more = Embedding(1L << 62, 1);\n    [Stage(1)] private readonly Embedding most = Embedding(1L << 62, 1);";
        string source = Sample.Replace("Embedding(100, Width);", Embeddings, StringComparison.Ordinal)
            .Replace("var words = table.forward(tokens)", "var words = (table.forward(tokens) + more.forward(tokens) + most.forward(tokens))", StringComparison.Ordinal);
        CSharpCompilation compilation = Analysis.Compile(source);
        Assert.Empty(Analysis.Errors(compilation));
        Assert.Contains(await Analysis.DiagnosticsAsync(compilation), d => d.Id is "DHO1401" or "DHO1403");
    }

    [Fact]
    public async Task Cancellation_passes_through() =>
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => Analysis.DiagnosticsAsync(Analysis.Compile(Sample), cancellation: new CancellationToken(canceled: true)));
}
