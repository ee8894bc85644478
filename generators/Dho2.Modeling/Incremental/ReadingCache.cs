using System.Collections.Immutable;
using System.Linq;
using System.Runtime.CompilerServices;
using System.Threading;
using Microsoft.CodeAnalysis;

namespace Dho2.Modeling;

/// <summary>
/// Readings of pipeline classes from edit to edit. A generator is asked for every class again whenever anything has changed; what
/// was read of one still holds if every file that was read for it is the same and no other has changed in what can be seen
/// of it from outside. An edit elsewhere then binds nothing.
/// </summary>
public static class ReadingCache
{
    // By declaration: an edit in the class's own file makes another node, and the entry goes with the old one.
    private static readonly ConditionalWeakTable<SyntaxNode, Entry> Entries = new();

    /// <summary>Reads a class as <see cref="ModelReader.Read(INamedTypeSymbol, Compilation, CancellationToken)"/> does, or gives what was read of it before.</summary>
    /// <param name="declaration">The class's declaration that carries the attribute.</param>
    /// <param name="type">The class.</param>
    /// <param name="compilation">Its compilation.</param>
    /// <param name="cancellation">Ends the work early.</param>
    /// <returns>What was read; null where no user wrote a part of the class.</returns>
    /// <exception cref="System.OperationCanceledException">The work was cancelled.</exception>
    public static PipelineModel? Read(SyntaxNode declaration, INamedTypeSymbol type, Compilation compilation, CancellationToken cancellation)
    {
        CompilationOutline outline = CompilationOutline.Of(compilation, cancellation);
        if (Entries.TryGetValue(declaration, out Entry? known) && known.Files.All(compilation.ContainsSyntaxTree))
        {
            if (known.Outline.Equals(outline))
            {
                // The next edit finds the same outline here for all classes.
                known.Outline = outline;
                return known.Model;
            }
        }

        PipelineModel? model = ModelReader.Read(type, compilation, out ImmutableArray<SyntaxTree> files, cancellation)?.Model;
        Entries.Remove(declaration);
        Entries.GetValue(declaration, _ => new Entry(outline, files, model));
        return model;
    }

    private sealed class Entry(CompilationOutline outline, ImmutableArray<SyntaxTree> files, PipelineModel? model)
    {
        public CompilationOutline Outline { get; set; } = outline;

        public ImmutableArray<SyntaxTree> Files { get; } = files;

        public PipelineModel? Model { get; } = model;
    }
}
