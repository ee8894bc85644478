using System.Collections.Immutable;
using System.Linq;
using Basic.Reference.Assemblies;
using Dho2.Pipelines;
using Microsoft.CodeAnalysis;
using TorchSharp;

namespace Dho2.Analyzers.Tests;

/// <summary>What the analysed sources refer to.</summary>
internal static class References
{
    public static ImmutableArray<MetadataReference> All { get; } =
    [
        .. Net100.References.All,
        .. new[] { typeof(torch), typeof(IPipelineStage), typeof(PipelineAttribute) }
            .Select(type => MetadataReference.CreateFromFile(type.Assembly.Location)),
    ];
}
