using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using System.Threading;
using Dho2.Planning;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Text;

namespace Dho2.Modeling;

/// <summary>What was read, with the trees that spans refer to: for analyzers, which turn spans into locations.</summary>
/// <param name="Model">What was read.</param>
/// <param name="Trees">The trees of <see cref="SourceMap.Files"/>, in the same order.</param>
public sealed record ModelReading(PipelineModel Model, IReadOnlyList<SyntaxTree> Trees)
{
    /// <summary>The location of a span.</summary>
    public Location LocationOf(SourceSpan span) => Location.Create(Trees[span.File], new TextSpan(span.Start, span.Length));
}

/// <summary>Reads a pipeline class from its symbol and its user's syntax.</summary>
public static class ModelReader
{
    /// <summary>The metadata name of the attribute that makes a class a pipeline.</summary>
    public const string PipelineAttributeName = AttributeReader.PipelineAttributeName;

    /// <summary>Reads a class; null where no user wrote a part of it, or the compiler itself fails on it.</summary>
    /// <param name="type">The class that carries the attribute.</param>
    /// <param name="compilation">Its compilation.</param>
    /// <param name="cancellation">Ends the work early.</param>
    /// <exception cref="OperationCanceledException">The work was cancelled.</exception>
    public static ModelReading? Read(INamedTypeSymbol type, Compilation compilation, CancellationToken cancellation) =>
        Read(type, compilation, out _, cancellation);

    /// <summary>The same, and tells which files were read for it.</summary>
    internal static ModelReading? Read(INamedTypeSymbol type, Compilation compilation, out ImmutableArray<SyntaxTree> files, CancellationToken cancellation)
    {
        files = [];
        TypeDeclarationSyntax? declaration = UserSyntax.Declarations(type, cancellation).FirstOrDefault();
        if (declaration is null)
        {
            return null;
        }

        var context = new ReadingContext(compilation, cancellation, type);
        var reader = new PipelineReader(context, type, declaration);
        ModelReading? reading;
        try
        {
            reading = new ModelReading(reader.Read(), context.Sources.Trees);
        }
        catch (NullReferenceException exception) when (IsCompilers(exception))
        {
            reading = null;
        }

        files = context.Files.ToImmutableArray();
        return reading;
    }

    /// <summary>
    /// Describes a module class for the assembly that is being compiled to carry: once for each constructor that was
    /// understood. Nothing where other assemblies cannot see the class.
    /// </summary>
    /// <param name="type">The class.</param>
    /// <param name="compilation">Its compilation.</param>
    /// <param name="cancellation">Ends the work early.</param>
    /// <exception cref="OperationCanceledException">The work was cancelled.</exception>
    public static EquatableArray<ModuleDescription> Describe(INamedTypeSymbol type, Compilation compilation, CancellationToken cancellation)
    {
        for (INamedTypeSymbol? outer = type; outer is not null; outer = outer.ContainingType)
        {
            if (outer.DeclaredAccessibility != Accessibility.Public || outer.IsGenericType)
            {
                return default;
            }
        }

        try
        {
            return type.IsAbstract ? default : CompiledModules.Describe(compilation, type, cancellation);
        }
        catch (NullReferenceException exception) when (IsCompilers(exception))
        {
            return default;
        }
    }

    // On an attribute of a field with the argument nameof(field = ), half typed, Roslyn throws whoever asks it for anything
    // around it; a build ends there as well. Nothing can be read then, and there is nothing for us to report.
    private static bool IsCompilers(Exception exception) => exception.Source?.StartsWith("Microsoft.CodeAnalysis", StringComparison.Ordinal) == true;
}
