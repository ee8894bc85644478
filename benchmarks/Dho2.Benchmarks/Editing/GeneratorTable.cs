using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.Linq;
using System.Text;
using Basic.Reference.Assemblies;
using Dho2.Generators;
using Dho2.Pipelines;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using TorchSharp;

namespace Dho2.Benchmarks.Editing;

/// <summary>What an edit costs in an editor: the generator alone, over a compilation whose edited tree is replaced.</summary>
internal static class GeneratorTable
{
    private const int Layers = 40;

    private static readonly string[] Plans = [TrackingNames.Plan, TrackingNames.PlanFiles, TrackingNames.StageFiles];

    /// <summary>Measures and prints the table.</summary>
    /// <param name="quick">Whether a tenth of the classes and of the edits is enough.</param>
    public static int Run(bool quick)
    {
        int files = quick ? 100 : 1000;
        int pipelines = quick ? 5 : 50;
        int edits = quick ? 5 : 20;
        Console.WriteLine($"{System.Environment.OSVersion}, .NET {System.Environment.Version}, {System.Environment.ProcessorCount} processors; median of {edits} edits\n");
        Console.WriteLine("| scenario | edit | steps planned or printed anew | target |");
        Console.WriteLine("|---|---|---|---|");
        string[] foreign = [.. Enumerable.Range(0, files).Select(Foreign)];
        (double edit, int anew) = Measure([Pipeline(0), .. foreign], edits, (sources, i) => (1 + (i % files), Foreign(i % files).Replace("int edited;", $"int edited{i};", StringComparison.Ordinal)));
        Row($"{files * 5} classes with foreign attributes in {files} files, one pipeline; a class edited", $"{Text(edit)} ms", anew, "10 ms, none");

        string[] many = [.. Enumerable.Range(0, pipelines).Select(Pipeline), "class Other { int edited; }"];
        (edit, anew) = Measure(many, edits, (sources, i) => (pipelines, $"class Other {{ int edited{i}; }}"));
        Row($"{pipelines} pipelines of {Layers} layers; another class edited", $"{Text(edit)} ms, {Text(edit / (pipelines * Layers))} ms a layer", anew, "0.2 ms a layer, none");

        (edit, anew) = Measure(many, edits, (sources, i) => (0, "// edit " + i.ToString(CultureInfo.InvariantCulture) + "\n" + sources[0]));
        Row($"{pipelines} pipelines of {Layers} layers; a comment in one of their files", $"{Text(edit)} ms", anew, "one file of stages");
        return 0;
    }

    private static void Row(string scenario, string edit, int anew, string target) => Console.WriteLine($"| {scenario} | {edit} | {anew} | {target} |");

    private static (double Milliseconds, int Anew) Measure(string[] sources, int edits, Func<string[], int, (int File, string Text)> edit)
    {
        CSharpParseOptions parse = new(LanguageVersion.Latest);
        SyntaxTree[] trees = [.. sources.Select((text, i) => CSharpSyntaxTree.ParseText(text, parse, $"/project/File{i}.cs", Encoding.UTF8))];
        CSharpCompilation compilation = CSharpCompilation.Create(
            "Editor",
            trees,
            [.. Net100.References.All, .. new[] { typeof(torch), typeof(PipelineAttribute), typeof(IPipelineStage) }.Select(t => MetadataReference.CreateFromFile(t.Assembly.Location))],
            new CSharpCompilationOptions(OutputKind.DynamicallyLinkedLibrary));
        GeneratorDriver driver = CSharpGeneratorDriver.Create(
            [new PipelineGenerator().AsSourceGenerator()],
            parseOptions: parse,
            driverOptions: new GeneratorDriverOptions(IncrementalGeneratorOutputKind.None, trackIncrementalGeneratorSteps: true)).RunGenerators(compilation);
        if (driver.GetRunResult().Results.Single() is { Exception: { } failure })
        {
            throw new InvalidOperationException("The generator failed.", failure);
        }

        var times = new List<double>();
        int anew = 0;
        for (int i = 0; i < edits; i++)
        {
            (int file, string text) = edit(sources, i);
            SyntaxTree tree = CSharpSyntaxTree.ParseText(text, parse, trees[file].FilePath, Encoding.UTF8);
            compilation = compilation.ReplaceSyntaxTree(trees[file], tree);
            trees[file] = tree;
            long start = Stopwatch.GetTimestamp();
            driver = driver.RunGenerators(compilation);
            times.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
            GeneratorRunResult result = driver.GetRunResult().Results.Single();
            anew = Math.Max(anew, Plans
                .SelectMany(step => result.TrackedSteps.TryGetValue(step, out var runs) ? runs : [])
                .SelectMany(run => run.Outputs)
                .Count(output => output.Reason is IncrementalStepRunReason.New or IncrementalStepRunReason.Modified));
        }

        times.Sort();
        return (times[times.Count / 2], anew);
    }

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

    private static string Text(double number) => number.ToString("0.###", CultureInfo.InvariantCulture);

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
