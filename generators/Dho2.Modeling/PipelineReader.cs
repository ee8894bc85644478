using System.Collections.Generic;
using System.Linq;
using Dho2.Planning;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Dho2.Modeling;

/// <summary>Puts together what the readers of a class's form, layers, forward and loss find.</summary>
internal sealed class PipelineReader(ReadingContext context, INamedTypeSymbol type, TypeDeclarationSyntax declaration)
{
    private readonly NamePicker names = new(context, type);
    private readonly LayerReader layers = new(context, type);

    public PipelineModel Read()
    {
        ClassStatus status = ClassForm.Judge(context, type, declaration);
        layers.Read(ClassForm.Constructor(context, type), default);
        IMethodSymbol? forward = FindForward();
        ForwardReading? body = forward is null ? null : ForwardReader.Read(context, layers.Scope, forward);
        if (forward is not null && body is null)
        {
            ReportForward("it has no body");
        }

        context.HasErrors |= forward is not null
            && (ForwardErrors.In(context, forward) || DeclarationErrors.IsAmbiguous(forward) || DeclarationErrors.HasUnknownAttribute(forward));
        ReportLayers();
        IMethodSymbol? loss = forward is null ? null : FindLoss(body?.Results.Count ?? 0);
        ModelDescription description = Describe(forward, body, loss, out ForwardReading? lossBody);
        SourceMap source = Map(forward, body, loss, lossBody);
        if (status == ClassStatus.Sound
            && (context.HasErrors || context.Sources.HasErrors || body is null || loss is null || context.Problems!.Any(p => p.Severity == ProblemSeverity.Error)))
        {
            status = ClassStatus.Broken;
        }

        return new PipelineModel(
            Class(status, forward, loss, body?.Results.Count ?? 0),
            description,
            source,
            context.Problems!.OrderBy(p => p.Span.File).ThenBy(p => p.Span.Start).ToEquatableArray());
    }

    private PipelineClass Class(ClassStatus status, IMethodSymbol? forward, IMethodSymbol? loss, int results) => new(
        type.FullMetadataName(),
        type.Name,
        type.ContainingNamespace is { IsGlobalNamespace: false } space ? space.FullName() : "",
        ClassForm.Containers(declaration),
        SyntaxFacts.GetText(type.DeclaredAccessibility),
        status,
        !ClassForm.HasConstructor(context, type) && context.Known.IsDirectModule(type),
        layers.Components.Where(CanRegister).Select(Register).ToEquatableArray(),
        forward?.Parameters.Select(parameter => parameter.Type.GlobalName()).ToEquatableArray() ?? default,
        forward?.ReturnType.GlobalName() ?? "",
        loss is null ? 0 : loss.Parameters.Length - results,
        names.Pick())
    {
        IsLossCounted = IsCounted(loss),
    };

    private bool CanRegister(LayerEntry component) =>
        component.Creation is not null && !DeclarationErrors.IsAmbiguous(type, component.Member.Name) && !context.IsWrong(component.Type);

    private Registration Register(LayerEntry component)
    {
        if (component.ElementType is { } element)
        {
            string name = component.RegisteredName ?? component.Member.Name;
            return context.Known.IsModuleList(component.Type)
                ? new Registration(RegistrationKind.Module, name, component.Member.Name)
                : new Registration(RegistrationKind.List, name, component.Member.Name, element.GlobalName());
        }

        int layer = layers.Scope.Layers.TryGetValue(component.Member, out int index) ? index : -1;
        RegistrationKind kind = layer < 0 ? RegistrationKind.Buffer
            : context.Known.IsParameter(component.Type) ? RegistrationKind.Parameter
            : RegistrationKind.Module;
        return new Registration(kind, layer < 0 ? component.Member.Name : layers.Scope.Descriptions[layer].Name, component.Member.Name);
    }

    private IMethodSymbol? FindForward()
    {
        if (ForwardMethod.Find(type) is not { } forward)
        {
            ReportForward("override forward with the computation that is to be split");
            return null;
        }

        if (forward.Parameters.FirstOrDefault(parameter => !context.Known.IsTensor(parameter.Type)) is { } odd)
        {
            ReportForward($"parameter '{odd.Name}' is no tensor, and inputs are cut into micro-batches");
            return null;
        }

        if (!context.Known.IsTensor(forward.ReturnType)
            && !(forward.ReturnType is INamedTypeSymbol { IsTupleType: true } tuple && tuple.TupleElements.All(e => context.Known.IsTensor(e.Type))))
        {
            ReportForward("it must return a tensor or a tuple of tensors");
            return null;
        }

        return forward;
    }

    private void ReportForward(string reason) =>
        context.Report(ModelProblemKind.ForwardMissing, declaration.Identifier, type.Name, reason);

    private IMethodSymbol? FindLoss(int results)
    {
        List<IMethodSymbol> candidates = type.GetMembers("Loss").OfType<IMethodSymbol>().ToList();
        string? reason = null;
        foreach (IMethodSymbol candidate in candidates)
        {
            reason = !candidate.IsStatic ? "'Loss' is not static"
                : candidate.IsGenericMethod ? "'Loss' is generic"
                : !context.Known.IsTensor(candidate.ReturnType) && !IsCounted(candidate) ? $"'Loss' returns '{candidate.ReturnType.ToDisplayString()}' and neither a tensor nor two, a sum and its count"
                : candidate.Parameters.Any(p => !context.Known.IsTensor(p.Type) || p.RefKind != RefKind.None) ? "every parameter of 'Loss' must be a tensor"
                : candidate.Parameters.Length < results ? $"'Loss' takes {candidate.Parameters.Length} tensors, but forward returns {results}"
                : null;
            if (reason is null)
            {
                context.HasErrors |= DeclarationErrors.IsAmbiguous(candidate);
                return candidate;
            }
        }

        if (results > 0 || candidates.Count == 0)
        {
            SyntaxNode? written = candidates.FirstOrDefault()?.DeclaringSyntaxReferences.FirstOrDefault()?.GetSyntax(context.Cancellation);
            SyntaxToken place = written is MethodDeclarationSyntax method ? method.Identifier : declaration.Identifier;
            context.Report(ModelProblemKind.LossMissing, place, type.Name, reason ?? "there is no method 'Loss'");
        }

        return null;
    }

    /// <summary>Whether a loss returns a sum and the count that divides it.</summary>
    private bool IsCounted(IMethodSymbol? loss) =>
        loss?.ReturnType is INamedTypeSymbol { IsTupleType: true, TupleElements: [var sum, var count] }
        && context.Known.IsTensor(sum.Type) && context.Known.IsTensor(count.Type);

    private void ReportLayers()
    {
        foreach (LayerEntry component in layers.Components)
        {
            int count = layers.Scope.Lists.TryGetValue(component.Member, out IReadOnlyList<int>? elements) ? elements.Count : 1;
            if (StageReader.ProblemOf(component.Member, count) is { } problem)
            {
                context.Report(ModelProblemKind.StagesOfList, component.Name, component.Member.Name, problem);
            }

            if (new[] { component.Member, component.Created?.Type, component.Type }.OfType<ISymbol>().Select(AttributeReader.RecomputedStages).FirstOrDefault(s => s?.Count > 0) is { } stages)
            {
                context.Report(
                    ModelProblemKind.OptionOutOfRange, component.Name, $"Recompute of '{component.Member.Name}'", stages[0].ToString(System.Globalization.CultureInfo.InvariantCulture), "without a number, as it holds for the layer's own stage");
            }
        }

        for (int i = 0; i < layers.Layers.Count; i++)
        {
            LayerEntry layer = layers.Layers[i];
            LayerDescription description = layers.Scope.Descriptions[i];
            string? obstacle = layer.Creation is null ? "nothing creates it" : layer.Obstacle;
            if (obstacle is null && context.Known.IsDropout(layer.Type) && !description.Arguments.Any(a => a.Name == "p" && a.IsKnown()))
            {
                obstacle = "its probability is not known at compile time";
            }

            if (obstacle is not null && !context.HasErrors)
            {
                context.Report(ModelProblemKind.LayerNotCreated, layer.Name, layer.Member.Name, obstacle, layer.Remedy);
            }

            // The elements of a list have the same inside.
            foreach (string dropout in layer.Element > 0 ? [] : Dropouts(description, layer))
            {
                context.Report(ModelProblemKind.NestedDropout, layer.Name, dropout, type.Name);
            }
        }
    }

    /// <summary>The dropout layers in a layer whose masks are not the runtime's.</summary>
    private IEnumerable<string> Dropouts(LayerDescription description, LayerEntry layer)
    {
        if (KnownSymbols.IsOtherDropout(layer.Created?.Type))
        {
            return [description.Name];
        }

        if (RandomLayers.DropsOutInside(description))
        {
            return [description.Name];
        }

        return description.Body is { } body ? body.Layers.SelectMany(child => Nested(child, description.Name)) : [];
    }

    private static IEnumerable<string> Nested(LayerDescription layer, string prefix)
    {
        string name = prefix + "." + layer.Name;
        return RandomLayers.IsDropout(layer) || RandomLayers.DropsOutInside(layer)
            ? [name]
            : layer.Body?.Layers.SelectMany(child => Nested(child, name)) ?? [];
    }

    private ModelDescription Describe(IMethodSymbol? forward, ForwardReading? body, IMethodSymbol? loss, out ForwardReading? lossBody)
    {
        int results = body?.Results.Count ?? 0;
        lossBody = loss is null ? null : ForwardReader.Read(context.ForModule(), new ModuleScope(), loss);
        return new ModelDescription(
            type.Name,
            type.FullMetadataName(),
            AttributeReader.Options(context, type, layers.Scope.Descriptions.Any(layer => layer.CurvatureRank is not null)),
            forward is null
                ? default
                : InputReader.Read(context, type, "Input", "forward", forward.Parameters, DType.Float32),
            loss is null
                ? default
                : InputReader.Read(context, type, "Target", "Loss", loss.Parameters.Skip(results).ToList(), DType.Int64),
            layers.Scope.Descriptions.ToEquatableArray(),
            body?.Operations ?? default,
            body?.Statements ?? default,
            body?.Results ?? default,
            lossBody is { Results.Count: 1 or 2 }
                ? new ModuleBody(loss!.Parameters.Length, default, lossBody.Operations, lossBody.Results)
                : null);
    }

    private SourceMap Map(IMethodSymbol? forward, ForwardReading? body, IMethodSymbol? loss, ForwardReading? lossBody)
    {
        var syntax = forward?.DeclaringSyntaxReferences.FirstOrDefault()?.GetSyntax(context.Cancellation) as MethodDeclarationSyntax;
        SourceSpan classSpan = context.Sources.Span(declaration.Identifier);
        SourceSpan forwardSpan = syntax is null ? classSpan : context.Sources.Span(syntax.Identifier);
        int results = body?.Results.Count ?? 0;
        return new SourceMap(
            default,
            forwardSpan.File,
            classSpan,
            forwardSpan,
            syntax is not null && syntax.AncestorsAndSelf().OfType<MemberDeclarationSyntax>().Any(m => m.Modifiers.Any(SyntaxKind.UnsafeKeyword)),
            layers.Layers.Select(Locate).ToEquatableArray(),
            body?.OperationSources ?? default,
            body?.StatementSources ?? default,
            body?.Variables ?? default,
            body?.Constants ?? default,
            layers.Scope.UsedMembers.Select(Repeat).OrderBy(m => m.Name, System.StringComparer.Ordinal).ToEquatableArray(),
            AttributeReader.Places(context, type),
            Spans(forward?.Parameters ?? []),
            Spans(loss?.Parameters.Skip(results) ?? []),
            Spans(loss, lossBody),
            names.Identifiers) with
        {
            Files = context.Sources.Files,
        };
    }

    private LayerSource Locate(LayerEntry layer)
    {
        SemanticModel semantics = context.Semantics(layer.Name.SyntaxTree!);
        return new LayerSource(
            layer.FieldName,
            context.Sources.Span(layer.Name),
            layer.Type.WithNullableAnnotation(NullableAnnotation.NotAnnotated).ToMinimalDisplayString(semantics, layer.TypePosition),
            layer.Creation is null ? null : context.Sources.Copy(layer.Creation.Syntax),
            layer.Constants,
            layer.UsesMembers,
            context.Known.IsParameter(layer.Type),
            layer.Element);
    }

    private MemberSource Repeat(ISymbol member)
    {
        ITypeSymbol memberType = member is IFieldSymbol field ? field.Type : ((IPropertySymbol)member).Type;
        return new MemberSource(member.Name, memberType.AnnotatedName(), ConstantText.Write(layers.Scope.Values[member], memberType)!);
    }

    private EquatableArray<SourceSpan> Spans(IEnumerable<IParameterSymbol> parameters) =>
        parameters
            .Select(parameter => parameter.DeclaringSyntaxReferences.FirstOrDefault()?.GetSyntax(context.Cancellation))
            .Select(syntax => context.Sources.Span(syntax ?? declaration))
            .ToEquatableArray();

    private EquatableArray<SourceSpan> Spans(IMethodSymbol? loss, ForwardReading? body) =>
        loss?.DeclaringSyntaxReferences.FirstOrDefault()?.GetSyntax(context.Cancellation) is MethodDeclarationSyntax syntax && body is not null
            ? body.OperationSources
                .Select(operation => operation.Start < 0
                    ? context.Sources.Span(syntax.Identifier)
                    : context.Sources.Span(syntax, operation.Start, operation.Length))
                .ToEquatableArray()
            : default;
}
