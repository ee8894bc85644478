using System.Collections.Immutable;
using System.Linq;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using System.Threading;
using Microsoft.CodeAnalysis;

namespace Dho2.Modeling;

/// <summary>What the meaning of a compilation's files depends on beside their own text: the outlines of all, references and options.</summary>
internal sealed class CompilationOutline
{
    private static readonly ConditionalWeakTable<Compilation, CompilationOutline> Outlines = new();

    private readonly byte[] hash;
    private readonly ImmutableArray<MetadataReference> references;
    private readonly CompilationOptions options;
    private readonly string? assembly;

    private CompilationOutline(Compilation compilation, byte[] hash)
    {
        this.hash = hash;
        references = compilation.ExternalReferences;
        options = compilation.Options;
        assembly = compilation.AssemblyName;
    }

    /// <summary>The outline of a compilation; found once for each.</summary>
    public static CompilationOutline Of(Compilation compilation, CancellationToken cancellation)
    {
        if (!Outlines.TryGetValue(compilation, out CompilationOutline? outline))
        {
            using var sha = SHA256.Create();
            byte[][] hashes = compilation.SyntaxTrees.Select(tree => TreeOutline.Of(tree, cancellation).Hash).ToArray();
            byte[] hash = sha.ComputeHash(hashes.SelectMany(tree => tree).ToArray());
            outline = Outlines.GetValue(compilation, _ => new CompilationOutline(compilation, hash));
        }

        return outline;
    }

    /// <summary>Whether all that is not changed means the same under both.</summary>
    public bool Equals(CompilationOutline other) =>
        ReferenceEquals(this, other)
        || (hash.SequenceEqual(other.hash) && references.SequenceEqual(other.references) && options.Equals(other.options) && assembly == other.assembly);
}
