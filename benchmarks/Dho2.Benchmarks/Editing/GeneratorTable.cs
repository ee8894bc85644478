using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Text;
using System.Threading;
using Basic.Reference.Assemblies;
using Dho2.Analyzers;
using Dho2.Generators;
using Dho2.Pipelines;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.Diagnostics;
using TorchSharp;

namespace Dho2.Benchmarks.Editing;

/// <summary>
/// What an edit costs in an editor, over a compilation whose edited tree is replaced. Processor time, which other programs
/// disturb little; an editor's own code is compiled in full, so run it with <c>DOTNET_TieredCompilation=0</c>.
/// </summary>
internal static class GeneratorTable
{
    private const int Layers = 40;

    // Edits before those that count: the compiler's own code is compiled and laid out meanwhile.
    private const int WarmUp = 5;

    private static readonly string[] Plans = [TrackingNames.Plan, TrackingNames.PlanFiles, TrackingNames.StageFiles];

    /// <summary>Measures and prints the table.</summary>
    /// <param name="quick">Whether a tenth of the classes and of the edits is enough.</param>
    public static int Run(bool quick)
    {
        int files = quick ? 100 : 1000;
        int pipelines = quick ? 5 : 50;
        int edits = quick ? 5 : 20;
        Console.WriteLine($"{System.Environment.OSVersion}, .NET {System.Environment.Version}, {System.Environment.ProcessorCount} processors; medians of {edits} edits, processor time; analyzer: on the edited file, alone\n");
        Console.WriteLine("| scenario | generator | target | steps planned or printed anew | target | analyzer |");
        Console.WriteLine("|---|---|---|---|---|---|");
        string[] foreign = [.. Enumerable.Range(0, files).Select(Foreign)];
        Row(
            $"{files * 5} classes with foreign attributes in {files} files, one pipeline; a class edited",
            Measure([Pipeline(0), .. foreign], edits, i => (1 + (i % files), Foreign(i % files).Replace("int edited;", $"int edited{i};", StringComparison.Ordinal))),
            0,
            "10 ms",
            "none");

        string[] many = [.. Enumerable.Range(0, pipelines).Select(Pipeline), "class Other { int edited; }"];
        int layers = pipelines * Layers;
        Row(
            $"{pipelines} pipelines of {Layers} layers; another class edited",
            Measure(many, edits, i => (pipelines, $"class Other {{ int edited{i}; }}")),
            layers,
            "0.2 ms a layer",
            "none");
        Row(
            $"{pipelines} pipelines of {Layers} layers; a comment in the file of one",
            Measure(many, edits, i => (0, "// edit " + Text(i) + "\n" + many[0])),
            layers,
            "",
            "1: its stages");
        Row(
            $"{pipelines} pipelines of {Layers} layers; a layer of one changed",
            Measure(many, edits, i => (0, many[0].Replace("fc1 = Linear(64, 64)", $"fc1 = Linear(64, 64, {(i % 2 == 0 ? "true" : "false")})", StringComparison.Ordinal))),
            layers,
            "",
            "3: its plan and its files");
        Row(
            $"a pipeline of {Layers} module classes of one kind in another file; that class changed",
            Measure([Pipeline(0).Replace("Linear fc", "Block fc", StringComparison.Ordinal).Replace("Linear(64, 64)", "new Block(64)", StringComparison.Ordinal), Block(0)], edits, i => (1, Block(i + 1))),
            Layers,
            "",
            "3: its plan and its files");
        return 0;
    }

    private static void Row(string scenario, Edits measured, int layers, string target, string anewTarget) => Console.WriteLine(
        $"| {scenario} | {Text(measured.Generator)} ms{(layers > 0 ? $", {Text(measured.Generator / layers)} ms a layer" : "")} | {target} | {measured.Anew} | {anewTarget} | {Text(measured.Analyzer)} ms |");

    private static Edits Measure(string[] sources, int edits, Func<int, (int File, string Text)> edit)
    {
        CSharpParseOptions parse = new(LanguageVersion.Latest);
        SyntaxTree[] trees = [.. sources.Select((text, i) => CSharpSyntaxTree.ParseText(text, parse, $"/project/File{i}.cs", Encoding.UTF8))];
        CSharpCompilation compilation = CSharpCompilation.Create(
            "Editor",
            trees,
            [.. Net100.References.All, .. new[] { typeof(torch), typeof(PipelineAttribute), typeof(IPipelineStage) }.Select(t => MetadataReference.CreateFromFile(t.Assembly.Location))],
            new CSharpCompilationOptions(OutputKind.DynamicallyLinkedLibrary));
        // Editors do not keep track of steps, which takes time itself: one driver is timed, another counts.
        GeneratorDriver Create(bool counts) => CSharpGeneratorDriver.Create(
            [new PipelineGenerator().AsSourceGenerator()],
            parseOptions: parse,
            driverOptions: new GeneratorDriverOptions(IncrementalGeneratorOutputKind.None, trackIncrementalGeneratorSteps: counts)).RunGenerators(compilation);
        GeneratorDriver driver = Create(counts: false);
        GeneratorDriver counting = Create(counts: true);
        if (driver.GetRunResult().Results.Single() is { Exception: { } failure })
        {
            throw new InvalidOperationException("The generator failed.", failure);
        }

        List<double> generator = [];
        List<double> analyzer = [];
        int anew = 0;
        for (int i = -WarmUp; i < edits; i++)
        {
            (int file, string text) = edit(i + WarmUp);
            SyntaxTree tree = CSharpSyntaxTree.ParseText(text, parse, trees[file].FilePath, Encoding.UTF8);
            compilation = compilation.ReplaceSyntaxTree(trees[file], tree);
            trees[file] = tree;
            TimeSpan start = System.Environment.CpuUsage.TotalTime;
            driver = driver.RunGenerators(compilation);
            double generated = (System.Environment.CpuUsage.TotalTime - start).TotalMilliseconds;
            counting = counting.RunGenerators(compilation);
            GeneratorRunResult result = counting.GetRunResult().Results.Single();
            double analyzed = Analyze(compilation.AddSyntaxTrees(result.GeneratedSources.Select(source => source.SyntaxTree)), tree);
            if (i < 0)
            {
                continue;
            }

            generator.Add(generated);
            analyzer.Add(analyzed);
            anew = Math.Max(anew, Plans
                .SelectMany(step => result.TrackedSteps.TryGetValue(step, out var runs) ? runs : [])
                .SelectMany(run => run.Outputs)
                .Count(output => output.Reason is IncrementalStepRunReason.New or IncrementalStepRunReason.Modified));
        }

        return new(Median(generator), Median(analyzer), anew);
    }

    /// <summary>What an editor does for the file in front: the analyzer's diagnostics in it.</summary>
    private static double Analyze(CSharpCompilation compilation, SyntaxTree tree)
    {
        TimeSpan start = System.Environment.CpuUsage.TotalTime;
        CompilationWithAnalyzers analysis = compilation.WithAnalyzers([new PipelineAnalyzer()]);
        analysis.GetAnalyzerSemanticDiagnosticsAsync(compilation.GetSemanticModel(tree), filterSpan: null, CancellationToken.None).GetAwaiter().GetResult();
        return (System.Environment.CpuUsage.TotalTime - start).TotalMilliseconds;
    }

    private static double Median(List<double> times)
    {
        times.Sort();
        return times[times.Count / 2];
    }

    private static string Block(int edit) => $$"""
        using TorchSharp;
        using TorchSharp.Modules;
        using static TorchSharp.torch;
        using static TorchSharp.torch.nn;

        namespace Editor;

        public sealed class Block : Module<Tensor, Tensor>
        {
            private readonly Linear inner;

            public Block(long width) : base("Block")
            {
                inner = Linear(width, {{(edit % 2 == 0 ? "width" : "width, hasBias: false")}});
                RegisterComponents();
            }

            public override Tensor forward(Tensor x) => inner.forward(x);
        }
        """;

    private static string Foreign(int file)
    {
        var text = new StringBuilder("using System;\nnamespace Foreign { [AttributeUsage(AttributeTargets.All)] internal sealed class Mark" + Text(file) + "Attribute : Attribute { }\n");
        for (int i = 0; i < 5; i++)
        {
            text.Append($"[Mark{Text(file)}] [Serializable] public class C{Text(file)}_{Text(i)} {{ int edited; public int Get() => edited + {Text(i)}; }}\n");
        }

        return text.Append("}\n").ToString();
    }

    private static string Pipeline(int number)
    {
        var layers = new StringBuilder();
        var calls = new StringBuilder();
        for (int i = 0; i < Layers; i++)
        {
            layers.Append($"    [Stage({Text(i * 4 / Layers)})] private readonly Linear fc{Text(i)} = Linear(64, 64);\n");
            calls.Append($"        x = relu(fc{Text(i)}.forward(x));\n");
        }

        return $$"""
            using Dho2;
            using TorchSharp;
            using TorchSharp.Modules;
            using static TorchSharp.torch;
            using static TorchSharp.torch.nn;
            using static TorchSharp.torch.nn.functional;

            namespace Editor;

            [Pipeline(MicroBatches = 8), Input(64, Batch = 64), Target]
            public partial class Net{{Text(number)}} : Module<Tensor, Tensor>
            {
            {{layers}}
                public override Tensor forward(Tensor x)
                {
            {{calls}}        return x;
                }

                private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
            }
            """;
    }

    /// <summary>Medians over edits.</summary>
    /// <param name="Generator">Milliseconds of the generator.</param>
    /// <param name="Analyzer">Milliseconds of the analyzer on the edited file.</param>
    /// <param name="Anew">The most steps that planned or printed anew in one edit.</param>
    private sealed record Edits(double Generator, double Analyzer, int Anew);

    private static string Text(double number) => number.ToString("0.###", CultureInfo.InvariantCulture);

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
