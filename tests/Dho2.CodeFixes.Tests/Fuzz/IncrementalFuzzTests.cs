using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using Dho2.Generators;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace Dho2.CodeFixes.Tests.Fuzz;

/// <summary>
/// One file of a project after the other is edited, and what the generator makes of each edit, with all that it remembers of the
/// ones before, is what it makes of the same texts when it sees them for the first time. DHO2_FUZZ counts here as a twentieth.
/// </summary>
public sealed class IncrementalFuzzTests
{
    private const int Usual = 100;
    private const int FirstSeed = 77;

    // Code beside the models: what they use of it they read, what they do not use must not matter.
    private const string Helpers =
        """
        using TorchSharp.Modules;
        using static TorchSharp.torch.nn;

        namespace Samples;

        public static class Sizes
        {
            public const int Hidden = 24;
            public static readonly long Width = 2 * Hidden;
            private const int Unseen = 3;

            public static Linear Make(long features) => Linear(features, Width);

            private static int Twice(int x)
            {
                return Unseen * x;
            }
        }

        public class Unrelated
        {
            private int count;
            public int Count => count;
            public void Add(int more) { count += more; }
        }
        """;

    private const string Model =
        """
        using Dho2;
        using TorchSharp;
        using TorchSharp.Modules;
        using static TorchSharp.torch;
        using static TorchSharp.torch.nn;
        using static TorchSharp.torch.nn.functional;

        namespace Samples;

        [Pipeline(MicroBatches = 4), Input(8, Batch = 32), Target]
        public partial class Helped : Module<Tensor, Tensor>
        {
            [Stage(0)] private readonly Linear first = Sizes.Make(8);
            [Stage(0)] private readonly Linear second = Linear(Sizes.Width, Sizes.Hidden);
            [Stage(1)] private readonly Linear third = Linear(Sizes.Hidden, 10);

            public override Tensor forward(Tensor x) => third.forward(relu(second.forward(relu(first.forward(x)))));

            private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
        }
        """;

    [Fact]
    public void After_every_edit_the_output_is_that_of_the_whole_anew()
    {
        int mutants = int.TryParse(Environment.GetEnvironmentVariable("DHO2_FUZZ"), NumberStyles.None, CultureInfo.InvariantCulture, out int count) ? count / 20 : Usual;
        string[][] projects =
        [
            [Model, Helpers],
            [Model, Helpers],
            .. FuzzSources.All.Where(source => source.Companions.Count > 0).Select(source => source.Companions.Prepend(source.Text).ToArray()),
        ];
        int changed = 0;
        for (int p = 0; p < projects.Length; p++)
        {
            changed += Edit(projects[p], Math.Max(1, mutants / projects.Length), new Random(FirstSeed + p));
        }

        // Edits that change nothing prove nothing.
        Assert.True(changed * 4 >= mutants, $"{changed} of {mutants} edits changed the output.");
    }

    private static int Edit(string[] texts, int edits, Random random)
    {
        Mutator[] mutators = [.. texts.Select(text => new Mutator(text))];
        string[] current = [.. texts];
        CSharpCompilation compilation = Compile(current);
        GeneratorDriver driver = CreateDriver().RunGenerators(compilation);
        string before = Output(driver);
        int changed = 0;
        for (int i = 0; i < edits; i++)
        {
            // Now and then a file becomes what it was.
            int file = random.Next(texts.Length);
            string text = random.Next(3) == 0 ? texts[file] : mutators[file].Next(random);
            SyntaxTree old = compilation.SyntaxTrees[file];
            compilation = compilation.ReplaceSyntaxTree(old, CSharpSyntaxTree.ParseText(text, Specimen.ParseOptions, old.FilePath));
            current[file] = text;
            driver = driver.RunGenerators(compilation);

            string output = Output(driver);
            string anew = Output(CreateDriver().RunGenerators(Compile(current)));
            Assert.True(anew == output, $"After an edit of file {file}:\n{text}\nthe generator gives\n{output}\nand of all files anew\n{anew}");
            changed += output == before ? 0 : 1;
            before = output;
        }

        return changed;
    }

    private static GeneratorDriver CreateDriver() => CSharpGeneratorDriver.Create([new PipelineGenerator().AsSourceGenerator()], parseOptions: Specimen.ParseOptions);

    // Once the empty compilation has been read, the compiler enumerates what it is given twice: of a query it would see other trees.
    private static CSharpCompilation Compile(IReadOnlyList<string> texts) =>
        Specimen.Empty.AddSyntaxTrees([.. texts.Select((text, i) => CSharpSyntaxTree.ParseText(text, Specimen.ParseOptions, $"/project/File{i}.cs"))]);

    private static string Output(GeneratorDriver driver)
    {
        GeneratorRunResult result = driver.GetRunResult().Results.Single();
        Assert.Null(result.Exception);
        return string.Join("\n", result.GeneratedSources.Select(source => source.HintName + "\n" + source.SourceText));
    }
}
