using System;
using System.Globalization;
using System.Linq;

namespace Dho2.Planning;

/// <summary>What a <see cref="PlanSite"/> points at.</summary>
public enum SiteKind
{
    /// <summary>The model as a whole.</summary>
    Model,

    /// <summary>An input.</summary>
    Input,

    /// <summary>A target.</summary>
    Target,

    /// <summary>A layer.</summary>
    Layer,

    /// <summary>An operation.</summary>
    Operation,

    /// <summary>A statement.</summary>
    Statement,

    /// <summary>An operation of <c>Loss</c>.</summary>
    LossOperation,
}

/// <summary>Where in a <see cref="ModelDescription"/> a problem lies; whoever knows the source turns it into a position.</summary>
/// <param name="Kind">What it points at.</param>
/// <param name="Index">Its index in the model, or in the innermost body of <paramref name="Path"/>.</param>
/// <param name="Argument">The name of the argument that is at fault, or null.</param>
/// <param name="Path">
/// For a place inside interpreted modules: the operations that lead there, outermost first, each an index into the body
/// before it. Who cannot show the inner place shows the first of them.
/// </param>
public sealed record PlanSite(SiteKind Kind, int Index = -1, string? Argument = null, EquatableArray<int> Path = default)
{
    /// <summary>The model as a whole.</summary>
    public static PlanSite Model { get; } = new(SiteKind.Model);
}

/// <summary>How much a problem weighs.</summary>
public enum ProblemSeverity
{
    /// <summary>Worth knowing.</summary>
    Information,

    /// <summary>Probably not what was meant.</summary>
    Warning,

    /// <summary>Cannot work.</summary>
    Error,
}

/// <summary>One thing that is wrong with a description or its plan.</summary>
/// <param name="Kind">What is wrong.</param>
/// <param name="Site">Where.</param>
/// <param name="Arguments">The names, numbers and shapes of the message, in the order of its placeholders.</param>
public sealed record PlanProblem(ProblemKind Kind, PlanSite Site, EquatableArray<string> Arguments)
{
    internal PlanProblem(ProblemKind kind, PlanSite site, params object[] arguments)
        : this(kind, site, arguments.Select(a => Convert.ToString(a, CultureInfo.InvariantCulture) ?? "").ToEquatableArray())
    {
    }

    /// <summary>How much it weighs.</summary>
    public ProblemSeverity Severity => ProblemKinds.SeverityOf(Kind);

    /// <summary>What is wrong, with the numbers, and what would be right.</summary>
    public string Message =>
        string.Format(CultureInfo.InvariantCulture, ProblemKinds.FormatOf(Kind), Arguments.Cast<object>().ToArray());
}

/// <summary>A plan, or what stands in its way.</summary>
/// <param name="Plan">The plan; null where no stages can be made. It may exist beside errors, such as a shape mismatch.</param>
/// <param name="Problems">What is wrong, in the order of the model.</param>
public sealed record PlanResult(Plan? Plan, EquatableArray<PlanProblem> Problems)
{
    /// <summary>Whether any problem is an error.</summary>
    public bool HasErrors => Problems.Any(p => p.Severity == ProblemSeverity.Error);

    /// <summary>Whether any error lies in the structure, which code is generated from, and not in numbers alone, which a run may override.</summary>
    public bool HasStructuralErrors =>
        Problems.Any(p => p.Severity == ProblemSeverity.Error && p.Kind is not
            (ProblemKind.NumberOutOfRange or ProblemKind.StageDoesNotFit or ProblemKind.NoSecondDerivative or ProblemKind.CurvatureOfInterleavedStages));
}
