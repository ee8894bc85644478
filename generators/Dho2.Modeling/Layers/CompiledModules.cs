using System;
using System.Linq;
using System.Threading;
using Dho2.Planning;
using Microsoft.CodeAnalysis;

namespace Dho2.Modeling;

/// <summary>The descriptions of module classes that assemblies carry, because their source is not at hand where they are used.</summary>
internal static class CompiledModules
{
    /// <summary>The description of a class as one of its constructors makes it; null where its assembly has none that can be read.</summary>
    public static ModuleDescription? Find(INamedTypeSymbol type, IMethodSymbol constructor)
    {
        string name = type.FullMetadataName();
        EquatableArray<string> parameters = ParametersOf(constructor);
        return type.ContainingAssembly.GetAttributes()
            .Where(attribute => attribute.AttributeClass is { Name: "ModuleDescriptionAttribute", ContainingNamespace: { Name: "Dho2", ContainingNamespace.IsGlobalNamespace: true } })
            .Where(attribute => attribute.ConstructorArguments is [{ Value: string described }, _] && described == name)
            .Select(attribute => Parse(attribute.ConstructorArguments[1].Value as string))
            .FirstOrDefault(description => description?.Parameters == parameters);
    }

    /// <summary>What the constructors of a module class make, for its assembly to carry; those that were not understood are left out.</summary>
    public static EquatableArray<ModuleDescription> Describe(Compilation compilation, INamedTypeSymbol type, CancellationToken cancellation) =>
        type.InstanceConstructors
            .Where(constructor => constructor.DeclaredAccessibility == Accessibility.Public)
            .Select(constructor => new ModuleDescription(
                type.FullMetadataName(),
                ParametersOf(constructor),
                Assumptions.Explore(assumptions => ModuleInterpreter.Interpret(
                    new ReadingContext(compilation, cancellation, type) { Assumptions = assumptions }.ForModule(), type, constructor, Parameters(constructor)))))
            .Where(description => description.Variants.Count > 0)
            .ToEquatableArray();

    private static EquatableArray<Argument> Parameters(IMethodSymbol constructor) =>
        constructor.Parameters
            .Select(parameter => Argument.OfParameter(
                parameter.Name, parameter.Name, parameter.Type.SpecialType is >= SpecialType.System_SByte and <= SpecialType.System_UInt64))
            .ToEquatableArray();

    private static EquatableArray<string> ParametersOf(IMethodSymbol constructor) =>
        constructor.Parameters.Select(parameter => parameter.Type.GlobalName()).ToEquatableArray();

    private static ModuleDescription? Parse(string? text)
    {
        try
        {
            return text is null ? null : ModelDescriptionText.ParseModule(text);
        }
        catch (FormatException)
        {
            // Of another version: nothing is known of the class, as of any other.
            return null;
        }
    }
}
