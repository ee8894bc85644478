using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using Dho2.Planning;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Dho2.Modeling;

/// <summary>Reads the attributes of the language from classes and layers.</summary>
internal static class AttributeReader
{
    /// <summary>The metadata name of the attribute that makes a class a pipeline.</summary>
    public const string PipelineAttributeName = "Dho2.PipelineAttribute";

    public static AttributeData? Find(ISymbol symbol, string name) => All(symbol, name).FirstOrDefault();

    public static IEnumerable<AttributeData> All(ISymbol symbol, string name) =>
        symbol.GetAttributes().Where(attribute => attribute.AttributeClass is { } type
            && type.Name == name + "Attribute"
            && type.ContainingNamespace is { Name: "Dho2", ContainingNamespace.IsGlobalNamespace: true });

    /// <summary>The number of a layer's <c>[CurvatureRank]</c>: its own, else that of the module class.</summary>
    public static int? RankOf(ISymbol member, ITypeSymbol? created, ITypeSymbol declared) =>
        Number(Find(member, "CurvatureRank")) ?? (created is null ? null : Number(Find(created, "CurvatureRank"))) ?? Number(Find(declared, "CurvatureRank"));

    /// <summary>Whether a layer's stage recomputes its activations: by the layer's own <c>[Recompute]</c>, or that of the module class.</summary>
    public static bool Recomputes(ISymbol member, ITypeSymbol? created, ITypeSymbol declared) =>
        Find(member, "Recompute") is not null || (created is not null && Find(created, "Recompute") is not null) || Find(declared, "Recompute") is not null;

    /// <summary>The stages that a symbol's <c>[Recompute]</c> names; none where it names none, null without one.</summary>
    public static EquatableArray<int>? RecomputedStages(ISymbol symbol) =>
        Find(symbol, "Recompute") is not { } recompute ? null
        : recompute.ConstructorArguments is [{ Kind: TypedConstantKind.Array, IsNull: false } list] ? list.Values.Select(value => value.Value).OfType<int>().ToEquatableArray()
        : EquatableArray<int>.Empty;

    /// <summary>What an <c>[Operation]</c> says of a method, as further arguments of its calls; nothing without one.</summary>
    public static IEnumerable<Argument> Operation(IMethodSymbol method)
    {
        if (Find(method, "Operation") is not { ConstructorArguments: [{ Value: string signature }] } attribute)
        {
            yield break;
        }

        yield return Argument.OfText("@signature", signature);
        if (Value(attribute, nameof(OperationAttribute.Work)) is string work)
        {
            yield return Argument.OfText("@work", work);
        }

        if (Value(attribute, nameof(OperationAttribute.SavedBytes)) is string saved)
        {
            yield return Argument.OfText("@saved", saved);
        }

        if (Value(attribute, nameof(OperationAttribute.HasSecondDerivative)) is bool second)
        {
            yield return Argument.OfBoolean("@second", second);
        }
    }

    /// <summary>The layer or parameter that a <c>[TiedTo]</c> names; null without one.</summary>
    public static string? TiedTo(ISymbol member) =>
        Find(member, "TiedTo")?.ConstructorArguments is [{ Value: string { Length: > 0 } layer }] ? layer : null;

    public static ModelOptions Options(ReadingContext context, INamedTypeSymbol type, bool anyLayerRank)
    {
        AttributeData? pipeline = Find(type, "Pipeline");
        var baseKind = (BaseKind)Named(pipeline, nameof(PipelineAttribute.Base), (int)Defaults.Base);
        int batch = All(type, "Input").Select(input => Named(input, nameof(InputAttribute.Batch), 0)).FirstOrDefault(size => size != 0);
        return new ModelOptions(
            Named(pipeline, nameof(PipelineAttribute.MicroBatches), Defaults.MicroBatches),
            (Schedule)Named(pipeline, nameof(PipelineAttribute.Schedule), (int)Defaults.Schedule),
            baseKind,
            Named(pipeline, nameof(PipelineAttribute.Replicas), Defaults.Replicas),
            batch == 0 ? Defaults.Batch : batch,
            DeviceMemory(context, type),
            Curvature(Find(type, "Curvature"), anyLayerRank),
            Find(type, "Admm") is { } admm ? Admm(admm) : null,
            DType: (DType)Named(pipeline, nameof(PipelineAttribute.DType), (int)DType.Float32),
            StagesPerRank: Named(pipeline, nameof(PipelineAttribute.StagesPerRank), 0),
            Stages: Named(pipeline, nameof(PipelineAttribute.Stages), 0),
            DeviceName: DeviceName(context, type))
        {
            ShardsOptimizer = Named(pipeline, nameof(PipelineAttribute.ShardOptimizer), false),
            Recompute = RecomputedStages(type) is { } stages ? new RecomputeOptions(All: stages.Count == 0, stages) : null,
        };
    }

    /// <summary>The name that a <c>[Device]</c> gives, which must be in the table; null without one.</summary>
    public static string? DeviceName(ReadingContext context, ITypeSymbol type)
    {
        if (Find(type, "Device") is not { } device || Value(device, nameof(DeviceAttribute.Name)) is not string name)
        {
            return null;
        }

        if (DeviceProfile.Find(name) is not null)
        {
            return name;
        }

        if (ArgumentSyntax(device, nameof(DeviceAttribute.Name), context) is { } syntax)
        {
            context.Report(
                ModelProblemKind.OptionOutOfRange, syntax, "Device.Name", name, "one of " + string.Join(", ", DeviceProfile.Named.Select(p => p.Name)) + ", or left out, with Memory stated");
        }

        return null;
    }

    public static long? DeviceMemory(ReadingContext context, ITypeSymbol type)
    {
        if (Find(type, "Device") is not { } device || Value(device, nameof(DeviceAttribute.Memory)) is not string text)
        {
            return DeviceName(context, type) is { } name ? DeviceProfile.Find(name)!.MemoryBytes : null;
        }

        long? bytes = MemorySize.Parse(text);
        if (bytes is null && ArgumentSyntax(device, nameof(DeviceAttribute.Memory), context) is { } syntax)
        {
            context.Report(
                ModelProblemKind.OptionOutOfRange, syntax, "Device.Memory", text, "a positive number and one of B, KiB, MiB, GiB, TiB, such as \"24 GiB\"");
        }

        return bytes;
    }

    /// <summary>The dimensions of an <c>[Input]</c> or <c>[Target]</c>; null where one is neither a positive integer nor a name.</summary>
    public static EquatableArray<DimensionDescription>? Dimensions(AttributeData attribute)
    {
        if (attribute.ConstructorArguments is not [{ Kind: TypedConstantKind.Array, IsNull: false } list])
        {
            return EquatableArray<DimensionDescription>.Empty;
        }

        var dimensions = new List<DimensionDescription>();
        foreach (TypedConstant item in list.Values)
        {
            switch (item.Value)
            {
                case string { Length: > 0 } symbol:
                    dimensions.Add(new DimensionDescription(0, symbol));
                    break;
                case int or long or short or byte or uint or ushort or sbyte
                    when System.Convert.ToInt64(item.Value, CultureInfo.InvariantCulture) is > 0 and var size:
                    dimensions.Add(new DimensionDescription(size, null));
                    break;
                default:
                    return null;
            }
        }

        return dimensions.ToEquatableArray();
    }

    public static T Named<T>(AttributeData? attribute, string property, T otherwise) =>
        attribute is not null && Value(attribute, property) is T value ? value : otherwise;

    /// <summary>The places of the numbers that attributes state, by attribute and property such as <c>Curvature.Rank</c>.</summary>
    public static EquatableArray<OptionSource> Places(ReadingContext context, INamedTypeSymbol type)
    {
        var places = new List<OptionSource>();
        foreach (AttributeData attribute in type.GetAttributes())
        {
            if (attribute.AttributeClass?.ContainingNamespace is not { Name: "Dho2", ContainingNamespace.IsGlobalNamespace: true }
                || attribute.ApplicationSyntaxReference?.GetSyntax(context.Cancellation) is not AttributeSyntax syntax)
            {
                continue;
            }

            string name = attribute.AttributeClass.Name.Replace("Attribute", "");
            places.Add(new OptionSource(name, context.Sources.Span(syntax)));
            foreach (AttributeArgumentSyntax argument in syntax.ArgumentList?.Arguments ?? [])
            {
                if (argument.NameEquals is { } property)
                {
                    places.Add(new OptionSource(name + "." + property.Name.Identifier.ValueText, context.Sources.Span(argument.Expression)));
                }
            }
        }

        return places.ToEquatableArray();
    }

    private static CurvatureOptions? Curvature(AttributeData? attribute, bool anyLayerRank)
    {
        if (attribute is null && !anyLayerRank)
        {
            return null;
        }

        int every = Named(attribute, nameof(CurvatureAttribute.Every), Defaults.CurvatureEvery);
        int warmup = Named(attribute, nameof(CurvatureAttribute.Warmup), -1);
        int scope = Named(attribute, nameof(CurvatureAttribute.Scope), (int)(anyLayerRank ? CurvatureScope.Stage : CurvatureScope.Global));
        return new CurvatureOptions(
            Named(attribute, nameof(CurvatureAttribute.Rank), Defaults.CurvatureRank),
            Named(attribute, nameof(CurvatureAttribute.Smallest), Defaults.CurvatureSmallest),
            every,
            warmup == -1 ? every : warmup,
            Named(attribute, nameof(CurvatureAttribute.Batch), 0),
            Named(attribute, nameof(CurvatureAttribute.Alpha), Defaults.Alpha),
            Named(attribute, nameof(CurvatureAttribute.MaxScale), Defaults.MaxScale),
            (CurvatureScope)scope,
            Named(attribute, nameof(CurvatureAttribute.Order), 0),
            (CurvatureMode)Named(attribute, nameof(CurvatureAttribute.Mode), (int)CurvatureMode.Blocking),
            Named(attribute, nameof(CurvatureAttribute.Delay), 0));
    }

    private static AdmmOptions Admm(AttributeData attribute) => new(
        Named(attribute, nameof(AdmmAttribute.Period), Defaults.AdmmPeriod),
        Named(attribute, nameof(AdmmAttribute.Sigma), Defaults.AdmmSigma),
        Named(attribute, nameof(AdmmAttribute.Relaxation), Defaults.AdmmRelaxation),
        (AdmmRule)Named(attribute, nameof(AdmmAttribute.Rule), (int)AdmmRule.Consensus))
    {
        LocalCurvature = Named(attribute, nameof(AdmmAttribute.LocalCurvature), false),
    };

    /// <summary>The number that an attribute's constructor takes; null without one.</summary>
    public static int? Number(AttributeData? attribute) =>
        attribute?.ConstructorArguments is [{ Value: int number }] ? number : null;

    private static object? Value(AttributeData attribute, string property) =>
        attribute.NamedArguments.FirstOrDefault(argument => argument.Key == property).Value is { Kind: not TypedConstantKind.Array } constant
            ? constant.Value
            : null;

    private static SyntaxNode? ArgumentSyntax(AttributeData attribute, string property, ReadingContext context) =>
        (attribute.ApplicationSyntaxReference?.GetSyntax(context.Cancellation) as AttributeSyntax)?.ArgumentList?.Arguments
            .FirstOrDefault(argument => argument.NameEquals?.Name.Identifier.ValueText == property)?.Expression;
}
