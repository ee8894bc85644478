using System.Collections.Generic;
using System.Linq;
using Dho2.Planning;

namespace Dho2.Generators;

/// <summary>Prints the files with copied source: the stages and the cuts between them.</summary>
internal static class StagesPrinter
{
    /// <summary>The files by the last part of their names.</summary>
    public static IEnumerable<(string Suffix, string Text)> Print(PlannedSource input)
    {
        var cutter = new StatementCutter(input.Description, input.Source, input.Plan);
        yield return (".Stages.g.cs", TypeShell.Print(
            input.Class,
            input.Source.Files[input.Source.ForwardFile],
            writer =>
            {
                writer.Verbatim("#line hidden");
                foreach (StagePlan stage in input.Plan.Stages)
                {
                    if (stage.Index > 0)
                    {
                        writer.Line();
                        CutPrinter.Print(writer, CutFields.Of(input.Class, input.Plan.Cuts[stage.Index - 1]), stage.Index - 1);
                        writer.Line();
                    }

                    new StagePrinter(input, cutter, writer, stage).Print();
                }
            }));
        foreach (int file in FilesOfLayers(input))
        {
            yield return ($".Stages.{file}.g.cs", TypeShell.Print(
                input.Class,
                input.Source.Files[file],
                writer =>
                {
                    writer.Verbatim("#line hidden");
                    foreach (StagePlan stage in input.Plan.Stages.Where(s => HasLayersOf(input, s, file)))
                    {
                        new StagePrinter(input, cutter, writer, stage).PrintElsewhere(file);
                    }
                }));
        }
    }

    private static IEnumerable<int> FilesOfLayers(PlannedSource input) =>
        Enumerable.Range(0, input.Source.Files.Count).Where(file => input.Plan.Stages.Any(stage => HasLayersOf(input, stage, file)));

    private static bool HasLayersOf(PlannedSource input, StagePlan stage, int file) =>
        StagePrinter.LayersElsewhere(input, stage).Any(layer => input.Source.Layers[layer].Initialiser!.Span.File == file);
}
