using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using Dho2.Modeling;
using Dho2.Planning;

namespace Dho2.Generators;

/// <summary>Prints the public surface of a pipeline class: its definition, and how to make a trainer or the unsplit model.</summary>
internal static class PipelinePrinter
{
    private const string Definition = "global::Dho2.Pipelines.PipelineDefinition";

    public static string Print(PlannedClass input) => TypeShell.Print(input.Class, writer =>
    {
        MemberNames names = input.Class.Names;
        if (input.Plan is { } plan)
        {
            PrintDefinition(writer, input, plan);
        }
        else
        {
            writer.Line("/// <summary>Not there as long as the class has errors.</summary>");
            writer.Line("/// <exception cref=\"global::System.InvalidOperationException\">Always.</exception>");
            writer.Line(TypeShell.GeneratedCode);
            writer.Line($"public static {Definition} {names.Pipeline} => {Throw(input.Class)};");
        }

        writer.Line();
        writer.Line("/// <summary>Trains the model, split into its stages, over the ranks of a world.</summary>");
        writer.Line("/// <param name=\"world\">The ranks.</param>");
        writer.Line("/// <param name=\"options\">What to use in place of defaults; null for none.</param>");
        writer.Line(TypeShell.GeneratedCode);
        writer.Line($"public static global::Dho2.Trainer {names.CreateTrainer}(global::Dho2.World world, global::Dho2.TrainingOptions? options = null) =>");
        using (writer.Indented())
        {
            writer.Line(input.Plan is null ? Throw(input.Class) + ";" : $"new({names.Pipeline}, world, options);");
        }

        writer.Line();
        PrintUnsplit(writer, input);
    });

    private static void PrintUnsplit(CodeWriter writer, PlannedClass input)
    {
        MemberNames names = input.Class.Names;
        string type = Names.Escape(input.Class.Name);
        writer.Line("/// <summary>The unsplit model, with the weights that the stages have for the same seed.</summary>");
        writer.Line("/// <param name=\"seed\">The run's seed.</param>");
        writer.Line(TypeShell.GeneratedCode);
        if (input.Plan is null)
        {
            writer.Line($"public static {type} {names.CreateUnsplit}(long seed) => {Throw(input.Class)};");
            return;
        }

        using (writer.Braces($"public static {type} {names.CreateUnsplit}(long seed)"))
        {
            writer.Line($"var model = new {type}();");
            if (!input.Class.NeedsConstructor)
            {
                foreach (string tie in ConstructorPrinter.Ties(input, "model.", areBare: false))
                {
                    writer.Line(tie);
                }
            }

            writer.Line($"global::Dho2.Pipelines.UnsplitWeights.Copy({names.Pipeline}.Stages, model, seed);");
            writer.Line("return model;");
        }
    }

    private static void PrintDefinition(CodeWriter writer, PlannedClass input, Plan plan)
    {
        MemberNames names = input.Class.Names;
        writer.Line("/// <summary>The model as a pipeline of stages.</summary>");
        writer.Line("/// <remarks>");
        foreach (string line in PlanTables.Lines(input.Description, plan))
        {
            writer.Line("/// " + Names.Xml(line));
        }

        writer.Line("/// </remarks>");
        writer.Line(TypeShell.GeneratedCode);
        using (writer.Braces($"public static {Definition} {names.Pipeline} {{ get; }} = new()", "};"))
        {
            string text = ModelDescriptionText.Write(input.Description);
            string quotes = Names.QuotesFor(text);
            writer.Line($"DescriptionText = {quotes}").Lines(text).Line(quotes + ",");
            writer.Line($"PlanHash = \"{plan.Hash}\",");
            writer.Line($"Stages = [{string.Join(", ", plan.Stages.Select(stage => $"static context => new {names.Stage}{stage.Index}(context)"))}],");
            if (plan.Ties.Count > 0)
            {
                writer.Line($"Ties = [{string.Join(", ", plan.Ties.Where(tie => tie.Mirrors.Count > 0).Select(Tie))}],");
            }

            string loss = $"Loss({string.Join(", ", LossArguments(input))})";
            if (input.Class.IsLossCounted)
            {
                writer.Line($"Loss = static (results, targets) => {Definition}.MeanOf({loss}),");
                writer.Line($"CountedLoss = static (results, targets) => {loss},");
            }
            else
            {
                writer.Line($"Loss = static (results, targets) => {loss},");
            }

            if (plan.Options.Admm is not null && AdmmPrinter.CanPrint(plan))
            {
                writer.Line($"Admm = [{string.Join(", ", plan.Stages.Select(stage => $"static parameters => new {AdmmPrinter.NameOf(input.Class, stage)}(parameters)"))}],");
            }

            CurvaturePrinter.Print(writer, plan);
            writer.Line($"Unsplit = static seed => {names.CreateUnsplit}(seed),");
        }
    }

    private static string Tie(TiePlan tie) =>
        $"new({Microsoft.CodeAnalysis.CSharp.SymbolDisplay.FormatLiteral(tie.Name, quote: true)}, {tie.Owner.ToString(CultureInfo.InvariantCulture)}, [{string.Join(", ", tie.Mirrors)}])";

    private static IEnumerable<string> LossArguments(PlannedClass input) =>
        input.Description.Results.Select((_, i) => $"results[{i.ToString(CultureInfo.InvariantCulture)}]")
            .Concat(input.Description.Targets.Select((_, i) => $"targets[{i.ToString(CultureInfo.InvariantCulture)}]"));

    private static string Throw(PipelineClass type) =>
        $"throw new global::System.InvalidOperationException(\"{type.Name} has errors; its stages were not generated.\")";
}
