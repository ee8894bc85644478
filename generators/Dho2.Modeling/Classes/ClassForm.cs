using System.Collections.Generic;
using System.Linq;
using Dho2.Planning;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Dho2.Modeling;

/// <summary>Judges the form of a pipeline class: whether parts can be added to it, and whether its stages can be made.</summary>
internal static class ClassForm
{
    /// <summary>How much the form alone allows; what stands in the way is reported.</summary>
    public static ClassStatus Judge(ReadingContext context, INamedTypeSymbol type, TypeDeclarationSyntax declaration)
    {
        if (IsNameless(declaration) || IsHiddenFromAll(type))
        {
            // The compiler says so; a part could not be put beside it.
            return ClassStatus.Closed;
        }

        if (ReasonAgainstParts(type) is { } closed)
        {
            context.Report(ModelProblemKind.UnsupportedForm, declaration.Identifier, type.Name, closed);
            return ClassStatus.Closed;
        }

        bool isPartial = true;
        foreach (TypeDeclarationSyntax outer in declaration.AncestorsAndSelf().OfType<TypeDeclarationSyntax>())
        {
            if (!outer.Modifiers.Any(SyntaxKind.PartialKeyword))
            {
                context.Report(ModelProblemKind.NotPartial, outer.Identifier, outer.Identifier.ValueText, type.Name);
                isPartial = false;
            }
        }

        if (!isPartial)
        {
            return ClassStatus.Closed;
        }

        if (ReasonAgainstStages(context, type) is { } broken)
        {
            context.Report(ModelProblemKind.UnsupportedForm, declaration.Identifier, type.Name, broken);
            return ClassStatus.Broken;
        }

        return ClassStatus.Sound;
    }

    /// <summary>The constructor that makes the unsplit model; null where the user wrote none.</summary>
    public static IMethodSymbol? Constructor(ReadingContext context, INamedTypeSymbol type) =>
        WithoutArguments(context, type).FirstOrDefault();

    /// <summary>Whether the user wrote a constructor.</summary>
    public static bool HasConstructor(ReadingContext context, INamedTypeSymbol type) => Constructors(context, type).Any();

    /// <summary>The headers of the types around a class, outermost first.</summary>
    public static EquatableArray<string> Containers(TypeDeclarationSyntax declaration) =>
        declaration.Ancestors().OfType<TypeDeclarationSyntax>().Reverse()
            .Select(outer => "partial " + Keyword(outer) + " " + outer.Identifier.Text)
            .ToEquatableArray();

    /// <summary>Whether the class, or what it stands in, has no name yet.</summary>
    private static bool IsNameless(TypeDeclarationSyntax declaration) =>
        declaration.AncestorsAndSelf().Any(node => node switch
        {
            TypeDeclarationSyntax type => type.Identifier.IsMissing,
            BaseNamespaceDeclarationSyntax space => space.Name.DescendantTokens().Any(token => token.IsMissing),
            _ => false,
        });

    /// <summary>Whether the class, or the outermost that it stands in, is private to a namespace, which nothing can be.</summary>
    private static bool IsHiddenFromAll(INamedTypeSymbol type)
    {
        INamedTypeSymbol outermost = type;
        while (outermost.ContainingType is { } outer)
        {
            outermost = outer;
        }

        return outermost.DeclaredAccessibility is not (Accessibility.Public or Accessibility.Internal);
    }

    private static string Keyword(TypeDeclarationSyntax declaration) =>
        declaration is RecordDeclarationSyntax { ClassOrStructKeyword: { RawKind: not 0 } kind }
            ? declaration.Keyword.Text + " " + kind.Text
            : declaration.Keyword.Text;

    private static IEnumerable<IMethodSymbol> Constructors(ReadingContext context, INamedTypeSymbol type) =>
        type.InstanceConstructors.Where(constructor =>
            !constructor.IsImplicitlyDeclared && !UserSyntax.IsGenerated(constructor, context.Cancellation));

    /// <summary>The constructors that need no arguments, with the fewest parameters first.</summary>
    private static IEnumerable<IMethodSymbol> WithoutArguments(ReadingContext context, INamedTypeSymbol type) =>
        Constructors(context, type)
            .Where(constructor => constructor.Parameters.All(parameter => parameter.IsOptional))
            .OrderBy(constructor => constructor.Parameters.Length);

    /// <summary>
    /// Whether a <see langword="new"/> without arguments could call more than one constructor: one without parameters comes
    /// before all others, but several with nothing but defaults are equals.
    /// </summary>
    private static bool IsAmbiguous(IReadOnlyList<IMethodSymbol> withoutArguments) =>
        withoutArguments.Count > 1
        && (withoutArguments[0].Parameters.Length > 0 || withoutArguments[1].Parameters.Length == 0);

    private static string? ReasonAgainstParts(INamedTypeSymbol type)
    {
        for (INamedTypeSymbol? outer = type; outer is not null; outer = outer.ContainingType)
        {
            if (outer.IsGenericType)
            {
                return "it is generic, or inside a generic type; derive the types of its layers at compile time";
            }

            if (outer.IsFileLocal)
            {
                return "it is local to its file, where no generated part can reach it";
            }
        }

        return type switch
        {
            { IsRecord: true } => "a module cannot be a record",
            { IsStatic: true } => "a module cannot be static",
            _ => null,
        };
    }

    private static string? ReasonAgainstStages(ReadingContext context, INamedTypeSymbol type)
    {
        if (type.IsAbstract)
        {
            return "it is abstract; mark the class that can be created";
        }

        if (!context.Known.IsDirectModule(type))
        {
            return $"it derives from '{type.BaseType?.Name}'; it must derive from TorchSharp's Module<...> itself, and hold what it shares as layers";
        }

        List<IMethodSymbol> withoutArguments = WithoutArguments(context, type).ToList();
        if (withoutArguments.Count == 0 && HasConstructor(context, type))
        {
            return "its constructors need arguments; add one without, or give the parameters defaults";
        }

        if (IsAmbiguous(withoutArguments))
        {
            return $"'new {type.Name}()' could call more than one of its constructors; keep one that needs no arguments";
        }

        return type.GetMembers().Any(member => member is IFieldSymbol { IsRequired: true } or IPropertySymbol { IsRequired: true })
            ? "it has required members, which nobody sets when a stage is made"
            : null;
    }
}
