using Dho2.Modeling;
using Dho2.Planning;

namespace Dho2.Generators;

/// <summary>A pipeline class with its plan, without positions: what all files but that of the stages are printed from.</summary>
/// <param name="Class">The class's form.</param>
/// <param name="Description">The model.</param>
/// <param name="Plan">The plan; null where there is none, or an error stands in the way.</param>
internal sealed record PlannedClass(PipelineClass Class, ModelDescription Description, Plan? Plan)
{
    /// <summary>The first part of the names of its files.</summary>
    public string Hint { get; init; } = Class.MetadataName;
}

/// <summary>A pipeline class with its plan and its source: what the file of the stages is printed from.</summary>
/// <param name="Class">The class's form.</param>
/// <param name="Description">The model.</param>
/// <param name="Plan">The plan.</param>
/// <param name="Source">Positions and texts.</param>
/// <param name="Hint">The first part of the names of its files.</param>
internal sealed record PlannedSource(PipelineClass Class, ModelDescription Description, Plan Plan, SourceMap Source, string Hint);
