using System;
using System.Collections.Generic;
using Dho2.Admm;
using Dho2.Planning;
using TorchSharp;

namespace Dho2.Pipelines;

/// <summary>What the generator hands to the runtime for one pipeline class.</summary>
public sealed class PipelineDefinition
{
    /// <summary>The canonical text of the <see cref="ModelDescription"/>; parsed on first use.</summary>
    public required string DescriptionText { get; init; }

    /// <summary>The hash of the plan that the code was generated for, with the attributes' numbers.</summary>
    public required string PlanHash { get; init; }

    /// <summary>One factory for each stage, in order.</summary>
    public required IReadOnlyList<Func<StageContext, IPipelineStage>> Stages { get; init; }

    /// <summary>The parameters that several stages share; none by default. Stages declare their ends in <see cref="IPipelineStage.Mirrors"/>.</summary>
    public IReadOnlyList<TiedParameter> Ties { get; init; } = [];

    /// <summary>The loss of one micro-batch, a mean over its samples (0-dimensional), from the model's results and the targets.</summary>
    public required Func<IReadOnlyList<torch.Tensor>, IReadOnlyList<torch.Tensor>, torch.Tensor> Loss { get; init; }

    /// <summary>
    /// The loss with weights of its own, such as one that ignores labels, in place of <see cref="Loss"/>: the sum over one
    /// micro-batch and the count that divides it, both 0-dimensional. Counts are added up over all micro-batches and replicas,
    /// and divide the whole. Null where the loss is a mean over samples.
    /// </summary>
    public Func<IReadOnlyList<torch.Tensor>, IReadOnlyList<torch.Tensor>, (torch.Tensor Sum, torch.Tensor Count)>? CountedLoss { get; init; }

    /// <summary>The mean that a sum and its count make.</summary>
    public static torch.Tensor MeanOf((torch.Tensor Sum, torch.Tensor Count) loss) => loss.Sum / loss.Count;

    /// <summary>
    /// Each stage's ADMM update with the attributes' numbers, made from its flat parameters; null where the model has no
    /// <see cref="AdmmAttribute"/>. A run whose numbers are overridden uses <see cref="AdmmUpdate.Create"/> instead.
    /// </summary>
    public IReadOnlyList<Func<torch.Tensor, AdmmUpdate>>? Admm { get; init; }

    /// <summary>The curvature that the attributes ask for and what it costs, for reading; null where there is none.</summary>
    public CurvatureTable? Curvature { get; init; }

    /// <summary>Builds the unsplit model, with the weights that the stages have for the same seed.</summary>
    public required Func<long, torch.nn.Module> Unsplit { get; init; }
}
