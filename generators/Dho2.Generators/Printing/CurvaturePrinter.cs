using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using Dho2.Planning;

namespace Dho2.Generators;

/// <summary>Prints what a plan says of curvature: as lines of a documentation comment, and as a table that programs can read.</summary>
internal static class CurvaturePrinter
{
    private const string Namespace = "global::Dho2.Pipelines.";

    /// <summary>The lines of the comment; none where nothing is estimated.</summary>
    public static IEnumerable<string> Lines(Plan plan)
    {
        if (plan.Curvature is not { } curvature || plan.Options.Curvature is not { } options)
        {
            yield break;
        }

        string scope = options.Scope == CurvatureScope.Global ? "one subspace for the model" : "a subspace for each stage";
        string batch = options.Batch > 0 ? $"{Number(options.Batch)} samples" : "a step's batch";
        string delay = curvature.Mode == CurvatureMode.Dedicated ? $", in force {Number(curvature.Delay)} steps later" : "";
        string graphs = curvature.RetainsGraphs ? "kept" : "built anew for every product";
        yield return $"Curvature: {scope}; {curvature.Mode.ToString().ToLowerInvariant()}, before step {Number(options.Warmup)} and every {Number(options.Every)} after it{delay}; over {batch}; graphs {graphs}.";
        foreach (StagePlan stage in plan.Stages)
        {
            CurvatureStagePlan cost = curvature.Stages[stage.Index];
            yield return $"Curvature of stage {stage.Index}: {Number(stage.CurvatureRank)} largest and {Number(options.Smallest)} smallest; at most {Number(cost.Order)} products of {Number(cost.ProductOperations)} operations; {Number(Bytes(stage, MemoryKind.Curvature, MemoryKind.Copy))} bytes, and {Number(Bytes(stage, MemoryKind.Basis, MemoryKind.Graphs))} while an estimate is made.";
        }
    }

    /// <summary>Prints the table as a member of the definition's initialiser.</summary>
    public static void Print(CodeWriter writer, Plan plan)
    {
        if (plan.Curvature is not { } curvature || plan.Options.Curvature is not { } options)
        {
            return;
        }

        writer.Line($"Curvature = new(global::Dho2.CurvatureScope.{options.Scope}, global::Dho2.CurvatureMode.{curvature.Mode}, Warmup: {Literal(options.Warmup)}, Every: {Literal(options.Every)}, Batch: {Literal(options.Batch)}, Delay: {Literal(curvature.Delay)}, RetainsGraphs: {Literal(curvature.RetainsGraphs)},");
        writer.Line("[");
        using (writer.Indented())
        {
            foreach (StagePlan stage in plan.Stages)
            {
                CurvatureStagePlan cost = curvature.Stages[stage.Index];
                writer.Line($"new(Rank: {Literal(stage.CurvatureRank)}, Smallest: {Literal(options.Smallest)}, Order: {Literal(cost.Order)}, ProductOperations: {Literal(cost.ProductOperations)}, KeptBytes: {Literal(Bytes(stage, MemoryKind.Curvature, MemoryKind.Copy))}, EstimateBytes: {Literal(Bytes(stage, MemoryKind.Basis, MemoryKind.Graphs))}, ReusesTangents: {Literal(cost.ReusesTangents)}),");
            }
        }

        writer.Line("]),");
    }

    private static long? Bytes(StagePlan stage, params MemoryKind[] kinds) =>
        stage.Memory.Where(term => kinds.Contains(term.Kind)).Aggregate((long?)0, (sum, term) => sum + term.Bytes);

    private static string Number(long? value) => value?.ToString("#,0", CultureInfo.InvariantCulture) ?? "unknown";

    private static string Literal(long? value) => value?.ToString(CultureInfo.InvariantCulture) ?? "null";

    private static string Literal(bool value) => value ? "true" : "false";
}
