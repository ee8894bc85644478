using System.Globalization;
using System.Linq;
using Dho2.Modeling;
using Dho2.Planning;

namespace Dho2.Generators;

/// <summary>
/// Prints each stage's ADMM update with the numbers of structure and attributes as constants; what vanishes for them is
/// not printed at all. State, residuals and the balance of sigma are the base class's.
/// </summary>
internal static class AdmmPrinter
{
    private const string Tensor = "global::TorchSharp.torch.Tensor";

    /// <summary>Whether the numbers of parameters, which are constants of the code, are known.</summary>
    public static bool CanPrint(Plan plan) => plan.Stages.All(stage => stage.ParameterCount is not null);

    /// <summary>The name of a stage's update.</summary>
    public static string NameOf(PipelineClass type, StagePlan stage) => $"{type.Names.Stage}{stage.Index}Admm";

    public static string Print(PlannedClass input, Plan plan, AdmmOptions options) => TypeShell.Print(input.Class, writer =>
    {
        foreach (StagePlan stage in plan.Stages)
        {
            if (stage.Index > 0)
            {
                writer.Line();
            }

            Print(writer, input.Class, stage, options);
        }
    });

    private static void Print(CodeWriter writer, PipelineClass type, StagePlan stage, AdmmOptions options)
    {
        long count = stage.ParameterCount!.Value;
        bool isConsensus = options.Rule == AdmmRule.Consensus;
        writer.Line($"/// <summary>{(isConsensus ? "Consensus ADMM" : "The dual rule")} of stage {stage.Index}: {count.ToString("#,0", CultureInfo.InvariantCulture)} parameters, a round every {options.Period} steps, sigma {Number(options.Sigma)}.</summary>");
        writer.Line(TypeShell.GeneratedCode);
        writer.Line($"private sealed class {NameOf(type, stage)}({Tensor} parameters)");
        using (writer.Indented())
        {
            writer.Line($": global::Dho2.Admm.{(isConsensus ? "ConsensusUpdate" : "DualUpdate")}(parameters, ParameterCount, PeriodLength, InitialSigma)");
        }

        using (writer.Braces())
        {
            writer.Line($"private const long ParameterCount = {count.ToString(CultureInfo.InvariantCulture)};");
            writer.Line($"private const int PeriodLength = {options.Period.ToString(CultureInfo.InvariantCulture)};");
            writer.Line($"private const double InitialSigma = {Number(options.Sigma)};").Line();
            if (isConsensus)
            {
                Consensus(writer, options.Relaxation);
            }
            else
            {
                Dual(writer);
            }
        }
    }

    private static void Consensus(CodeWriter writer, double relaxation)
    {
        bool isRelaxed = relaxation != 1;
        if (isRelaxed)
        {
            writer.Line($"public override double Relaxation => {Number(relaxation)};").Line();
        }

        writer.Line("// g + sigma (theta - z + u)");
        using (writer.Braces($"public override void AddLocalTerm({Tensor} gradient, {Tensor} parameters)"))
        {
            writer.Line("AddScaled(gradient, parameters, Sigma);");
            writer.Line("AddScaled(gradient, Consensus, -Sigma);");
            writer.Line("AddScaled(gradient, ScaledDual, Sigma);");
        }

        writer.Line();
        using (writer.Braces($"protected override void Agree({Tensor} theta, global::Dho2.Communication.ICommunicator replicas)"))
        {
            string theta = isRelaxed ? "th" : "theta";
            if (isRelaxed)
            {
                writer.Line($"// th = {Number(relaxation)} theta + {Number(1 - relaxation)} z");
                writer.Line($"ScaleBy(theta, {Number(relaxation)});");
                writer.Line($"AddScaled(theta, Consensus, {Number(1 - relaxation)});").Line();
            }

            writer.Line($"// z = mean({theta} + u)");
            writer.Line("Increase(ScaledDual, theta);");
            writer.Line("theta.copy_(ScaledDual);");
            writer.Line("replicas.AllReduce(theta);");
            writer.Line("DivideBy(theta, replicas.Size);").Line();
            writer.Line($"// u = u + {theta} - z");
            writer.Line("ScaledDual.sub_(theta);");
        }
    }

    private static void Dual(CodeWriter writer)
    {
        writer.Line("// g + pi");
        writer.Line($"public override void AddLocalTerm({Tensor} gradient, {Tensor} parameters) => Increase(gradient, Dual);").Line();
        using (writer.Braces($"protected override void Extrapolate({Tensor} theta)"))
        {
            writer.Line("// pi = pi + sigma (theta - theta_0)");
            writer.Line("AddScaled(Dual, theta, InitialSigma);");
            writer.Line("AddScaled(Dual, Anchor, -InitialSigma);").Line();
            writer.Line("// theta = theta + pi / sigma");
            writer.Line("AddScaled(theta, Dual, 1 / InitialSigma);");
        }
    }

    private static string Number(double value) => value.ToString("R", CultureInfo.InvariantCulture);
}
