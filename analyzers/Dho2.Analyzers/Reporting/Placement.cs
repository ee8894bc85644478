using System.Linq;
using System.Threading;
using Dho2.Modeling;
using Dho2.Planning;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Text;

namespace Dho2.Analyzers;

/// <summary>Turns the places that planning names into locations of the user's files.</summary>
internal sealed class Placement(ModelReading reading, CancellationToken cancellation)
{
    private readonly ModelDescription description = reading.Model.Description;
    private readonly SourceMap source = reading.Model.Source;

    /// <summary>The class's name.</summary>
    public Location Class => reading.LocationOf(source.Class);

    /// <summary>The place of a problem of planning.</summary>
    public Location Of(PlanProblem problem) =>
        problem.Site.Kind == SiteKind.Model && OptionOf(problem) is { } option
            ? Option(option)
            : At(problem.Site);

    /// <summary>Whether a problem of an element of a list is one of the list's first element too: one place says it once.</summary>
    public bool IsRepeated(PlanProblem problem, EquatableArray<PlanProblem> all) =>
        problem.Site.Kind == SiteKind.Layer && source.Layers[problem.Site.Index].Element > 0
        && all.TakeWhile(other => !ReferenceEquals(other, problem)).Any(other =>
            other.Kind == problem.Kind && other.Site.Kind == SiteKind.Layer && source.Layers[other.Site.Index].Declaration == source.Layers[problem.Site.Index].Declaration);

    /// <summary>The name of the member that holds a layer.</summary>
    public Location Layer(int index) => reading.LocationOf(source.Layers[index].Declaration);

    /// <summary>An attribute of the class, by its name without "Attribute"; null where the class does not have it.</summary>
    public Location? Attribute(string name) =>
        source.Options.FirstOrDefault(option => option.Name == name) is { } option ? reading.LocationOf(option.Span) : null;

    /// <summary>What a model-wide problem is about, as an attribute and its property; null where it is about the model itself.</summary>
    private static string? OptionOf(PlanProblem problem) => problem.Kind switch
    {
        ProblemKind.NumberOutOfRange => problem.Arguments[0],
        ProblemKind.RelaxationHigh => "Admm.Relaxation",
        ProblemKind.FewerMicroBatchesThanStages => "MicroBatches",
        ProblemKind.FewerSamplesThanMicroBatches => "Batch",
        ProblemKind.RankAboveParameters => "Curvature.Rank",
        ProblemKind.OrderSmall => "Curvature.Order",
        ProblemKind.CurvatureOfInterleavedStages => "Pipeline.Schedule",
        _ => null,
    };

    /// <summary>The value of an option, or else its attribute, or else the class.</summary>
    private Location Option(string name)
    {
        string qualified = name switch
        {
            "Batch" => "Input.Batch",
            "The element type" => "Pipeline.DType",
            "MicroBatches" or "Replicas" or "StagesPerRank" or "Stages" => "Pipeline." + name,
            _ => name,
        };
        string attribute = qualified.Split('.')[0];
        OptionSource? place =
            source.Options.FirstOrDefault(option => option.Name == qualified)
            ?? source.Options.FirstOrDefault(option => option.Name == attribute);
        return reading.LocationOf(place?.Span ?? source.Class);
    }

    private Location At(PlanSite site)
    {
        if (site.Path.Count > 0)
        {
            // Inside another module, which may serve several models: shown where this one uses it.
            return Operation(site.Path[0], null);
        }

        return site.Kind switch
        {
            SiteKind.Input => reading.LocationOf(source.Inputs[site.Index]),
            SiteKind.Target => reading.LocationOf(source.Targets[site.Index]),
            SiteKind.Layer => LayerOrArgument(site.Index, site.Argument),
            SiteKind.Operation => Operation(site.Index, site.Argument),
            SiteKind.Statement => reading.LocationOf(source.Statements[site.Index].Text.Span),
            SiteKind.LossOperation => Argument(source.LossOperations[site.Index], description.Loss!.Operations[site.Index].Arguments, site.Argument),
            _ => Class,
        };
    }

    private Location LayerOrArgument(int index, string? argument) =>
        argument is not null && source.Layers[index].Initialiser is { } initialiser
            ? Argument(initialiser.Span, description.Layers[index].Arguments, argument)
            : Layer(index);

    private Location Operation(int index, string? argument)
    {
        Operation operation = description.Operations[index];
        SourceSpan statement = source.Statements[operation.Statement].Text.Span;
        OperationSource place = source.Operations[index];
        return place.Start < 0
            ? reading.LocationOf(statement)
            : Argument(statement with { Start = statement.Start + place.Start, Length = place.Length }, operation.Arguments, argument);
    }

    /// <summary>The argument of a call: by its name, or by its position among the parameters; the call where it is left out.</summary>
    private Location Argument(SourceSpan call, EquatableArray<Argument> parameters, string? name)
    {
        if (name is null)
        {
            return reading.LocationOf(call);
        }

        SyntaxNode node = reading.Trees[call.File].GetRoot(cancellation).FindNode(new TextSpan(call.Start, call.Length), getInnermostNodeForTie: true);
        SeparatedSyntaxList<ArgumentSyntax> arguments = node switch
        {
            InvocationExpressionSyntax invocation => invocation.ArgumentList.Arguments,
            BaseObjectCreationExpressionSyntax { ArgumentList: { } list } => list.Arguments,
            ElementAccessExpressionSyntax access => access.ArgumentList.Arguments,
            _ => default,
        };
        int position = parameters.Where(parameter => parameter.Name != "this").Select(parameter => parameter.Name).ToList().IndexOf(name);
        ArgumentSyntax? argument =
            arguments.FirstOrDefault(a => a.NameColon?.Name.Identifier.ValueText == name)
            ?? arguments.Where((a, i) => i == position && a.NameColon is null).FirstOrDefault();
        return argument?.Expression.GetLocation() ?? reading.LocationOf(call);
    }
}
