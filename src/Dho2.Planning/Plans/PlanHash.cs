using System.Security.Cryptography;
using System.Text;

namespace Dho2.Planning;

/// <summary>
/// The fingerprint of a plan. All ranks compare it before they train: different builds or options refuse to run together.
/// </summary>
internal static class PlanHash
{
    /// <summary>SHA-256, in lower-case hexadecimal, of the model's and the plan's canonical text.</summary>
    public static string Of(ModelDescription model, Plan plan)
    {
        var writer = new CanonicalWriter();
        writer.Begin('[');
        ModelDescriptionText.WriteModel(writer, model);
        ModelDescriptionText.WriteOptions(writer, plan.Options);
        foreach (StagePlan stage in plan.Stages)
        {
            WriteStage(writer, stage);
        }

        foreach (CutPlan cut in plan.Cuts)
        {
            WriteCut(writer, cut);
        }

        if (plan.Curvature is { } curvature && (curvature.Mode != CurvatureMode.Blocking || !curvature.RetainsGraphs))
        {
            writer.Line().Begin('[').Integer(curvature.Delay).Boolean(curvature.RetainsGraphs).End(']');
        }

        WriteSchedule(writer, plan);
        byte[] text = Encoding.UTF8.GetBytes(writer.End(']').ToString());
        using SHA256 sha = SHA256.Create();
        var hexadecimal = new StringBuilder(64);
        foreach (byte b in sha.ComputeHash(text))
        {
            hexadecimal.Append("0123456789abcdef"[b >> 4]).Append("0123456789abcdef"[b & 15]);
        }

        return hexadecimal.ToString();
    }

    private static void WriteStage(CanonicalWriter writer, StagePlan stage)
    {
        writer.Line().Begin('[').Integer(stage.Index);
        WriteIntegers(writer, stage.Layers);
        WriteIntegers(writer, stage.Operations);
        if (stage.Parameters is { } parameters)
        {
            writer.Begin('[');
            foreach (ParameterPlan parameter in parameters)
            {
                writer.Text(parameter.Name).Text(parameter.DType.ToString()).Begin('[');
                foreach (long size in parameter.Shape)
                {
                    writer.Integer(size);
                }

                writer.End(']');
            }

            writer.End(']');
        }
        else
        {
            writer.Null();
        }

        writer.Integer(stage.CurvatureRank).Integer(stage.ForwardOperations).Begin('{');
        foreach (MemoryTerm term in stage.Memory)
        {
            writer.Name(term.Kind.ToString()).Integer(term.Bytes);
        }

        writer.End('}').End(']');
    }

    private static void WriteCut(CanonicalWriter writer, CutPlan cut)
    {
        writer.Line().Begin('[').Integer(cut.Index);
        foreach (CutValue value in cut.Values)
        {
            writer.Begin('[').Integer(value.Value).Text(value.Name).Text(value.TypeName).Boolean(value.Differentiable);
            if (value.Type is { } type)
            {
                writer.Text(type.DType.ToString());
                foreach (Dimension dimension in type.Shape)
                {
                    writer.Text(dimension.ToString());
                }
            }

            writer.End(']');
        }

        writer.End(']');
    }

    private static void WriteSchedule(CanonicalWriter writer, Plan plan)
    {
        WriteIntegers(writer.Line(), plan.MicroBatches);
        foreach (EquatableArray<Instruction> rank in plan.Schedule)
        {
            writer.Line().Begin('[');
            foreach (Instruction instruction in rank)
            {
                writer.Integer((int)instruction.Kind).Integer(instruction.MicroBatch).Integer(instruction.Stage);
            }

            writer.End(']');
        }
    }

    private static void WriteIntegers(CanonicalWriter writer, EquatableArray<int> values)
    {
        writer.Begin('[');
        foreach (int value in values)
        {
            writer.Integer(value);
        }

        writer.End(']');
    }
}
