using System.Linq;
using Dho2.Modeling;
using Dho2.Modeling.Tests;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Dho2.Generators.Tests;

/// <summary>What was read of a class is read again where an edit elsewhere could change it, and only there.</summary>
public sealed class ReadingCacheTests
{
    private const string Model = ModelSource.Usings + """

        namespace Samples;

        [Pipeline(MicroBatches = 4), Input(8, Batch = 32), Target]
        public partial class Net : Module<Tensor, Tensor>
        {
            [Stage(0)] private readonly Linear first = Sizes.Make(8);
            [Stage(0)] private readonly Block block = new(Sizes.Width);
            [Stage(1)] private readonly Linear last = Linear(Sizes.Width, Sizes.Classes);

            public override Tensor forward(Tensor x) => last.forward(block.forward(first.forward(x)));

            private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
        }
        """;

    private const string Others = ModelSource.Usings + """

        namespace Samples;

        public static class Sizes
        {
            public const int Classes = 10;
            public static readonly int Width = 16;

            public static Linear Make(int features) => Linear(features, Width);
        }

        public sealed class Block : Module<Tensor, Tensor>
        {
            private readonly Linear inner;

            public Block(int size) : base("block")
            {
                inner = Linear(size, size);
                RegisterComponents();
            }

            public override Tensor forward(Tensor x) => inner.forward(x);
        }
        """;

    private const string Unrelated = """
        namespace Elsewhere;

        public class Account
        {
            private decimal total;
            public decimal Total => total;
            public void Add(decimal more) { total += more; }
            private string Describe() => total.ToString();
        }

        public class Savings : Account
        {
            public const int Least = 1;
            public int Most { get; set; } = 40;
            private int years = 3;
            public int Years() { return years; }
        }
        """;

    [Theory]
    [InlineData("Classes = 10", "Classes = 12")]
    [InlineData("Width = 16", "Width = 24")]
    [InlineData("Linear(features, Width)", "Linear(features, 20)")]
    [InlineData("inner = Linear(size, size)", "inner = Linear(size, size, hasBias: false)")]
    [InlineData("=> inner.forward(x)", "=> inner.forward(x).relu()")]
    [InlineData("private readonly Linear inner;", "private readonly Linear inner; private readonly Linear other = Linear(3, 3);")]
    [InlineData("Block(int size)", "Block(int size, int more = 2)")]
    [InlineData("namespace Samples;", "namespace Samples; public class Linear { }")]
    [InlineData("public sealed class Block", "public abstract class Block")]
    [InlineData("int Width = 16", "long Width = 16")]
    public void AnEditThatMattersIsSeen(string before, string after) => Check(Others, Others.Replace(before, after), reused: false);

    [Theory]
    [InlineData("namespace Elsewhere;", "namespace Samples; public class Linear { } public class Sizes { }")]
    [InlineData("namespace Elsewhere;", "global using Sizes = Elsewhere.Account; namespace Elsewhere;")]
    [InlineData("public class Savings", "public class Extra { } public class Savings")]
    [InlineData("public int Years()", "public long Years()")]
    [InlineData("private int years", "private int year")]
    [InlineData("Least = 1", "Least = 2")]
    [InlineData("private string Describe()", "internal string Describe()")]
    public void AnEditElsewhereThatCouldMatterIsSeen(string before, string after) => Check(Unrelated, Unrelated.Replace(before, after), reused: false);

    [Theory]
    [InlineData("{ total += more; }", "{ total -= more; total++; }")]
    [InlineData("=> total;", "=> total + 1;")]
    [InlineData("private decimal total;", "private decimal total, other;")]
    [InlineData("private string Describe() => total.ToString();", "")]
    [InlineData("years = 3", "years = 4")]
    [InlineData("} = 40;", "} = 50;")]
    [InlineData("{ return years; }", "{ int twice = 2 * years; return twice; }")]
    [InlineData("public class Savings", "// A comment.\npublic   class Savings")]
    public void AnEditElsewhereThatCannotMatterIsNot(string before, string after) => Check(Unrelated, Unrelated.Replace(before, after), reused: true);

    [Fact]
    public void OtherReferencesAndOptionsAreSeen()
    {
        CSharpCompilation compilation = Generation.Compile(Model, Others, Unrelated);
        PipelineModel first = Read(compilation)!;
        Assert.Same(first, Read(compilation.Clone())!);
        Assert.NotSame(first, Read(compilation.WithOptions(compilation.Options.WithNullableContextOptions(NullableContextOptions.Disable)))!);
        CSharpCompilation without = compilation.RemoveReferences(compilation.ExternalReferences.Where(r => r.Display!.Contains("TorchSharp", System.StringComparison.Ordinal)));
        Assert.NotEqual(first, Read(without)!);
    }

    private static void Check(string before, string after, bool reused)
    {
        Assert.NotEqual(before, after);
        CSharpCompilation first = Generation.Compile(Model, Others, Unrelated);
        PipelineModel old = Read(first)!;
        Assert.Same(old, Read(first));
        SyntaxTree tree = first.SyntaxTrees[before == Others ? 1 : 2];
        var second = (CSharpCompilation)first.ReplaceSyntaxTree(tree, Generation.Parse(after, tree.FilePath));

        PipelineModel now = Read(second)!;

        Assert.Equal(reused, ReferenceEquals(old, now));
        Assert.Equal(ModelReader.Read(Net(second), second, default)!.Model, now);
    }

    private static PipelineModel? Read(CSharpCompilation compilation) => ReadingCache.Read(
        compilation.SyntaxTrees[0].GetRoot().DescendantNodes().OfType<ClassDeclarationSyntax>().Single(), Net(compilation), compilation, default);

    private static INamedTypeSymbol Net(CSharpCompilation compilation) => compilation.GetTypeByMetadataName("Samples.Net")!;
}
