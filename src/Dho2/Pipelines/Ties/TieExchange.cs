using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Communication;
using Dho2.Numerics;
using TorchSharp;
using TorchSharp.Modules;

namespace Dho2.Pipelines;

/// <summary>
/// One stage's part in keeping tied parameters one: hands parts of the owner's flat vector out to mirrors, and adds up
/// what mirrors found. All stages that take part in a tie call in step.
/// </summary>
internal sealed class TieExchange
{
    private readonly ICommunicator? pipeline;
    private readonly Tie[] ties;

    /// <summary>Finds the stage's ends of the ties.</summary>
    /// <param name="stage">The stage.</param>
    /// <param name="flat">Its flat parameters, made without its mirrors.</param>
    /// <param name="ties">All ties of the model, in the same order on every stage.</param>
    /// <param name="pipeline">The group of this replica's stages, ranked by stage; null for a model of one stage.</param>
    /// <exception cref="ArgumentException">A stage lacks an end that the ties give it, or has one that they do not.</exception>
    public TieExchange(IPipelineStage stage, FlatParameters flat, IReadOnlyList<TiedParameter> ties, ICommunicator? pipeline)
    {
        this.pipeline = pipeline;
        int stages = pipeline?.Size ?? 1;
        var found = new List<Tie>();
        foreach (TiedParameter tie in ties)
        {
            int before = -1;
            foreach (int mirror in tie.Mirrors)
            {
                Require(
                    mirror > before && mirror < stages && mirror != tie.Owner && tie.Owner >= 0 && tie.Owner < stages,
                    $"'{tie.Name}' is tied from stage {tie.Owner} to stages {string.Join(", ", tie.Mirrors)}; they must be different stages of {stages}, in ascending order.");
                before = mirror;
            }

            if (tie.Owner == stage.Index && tie.Mirrors.Count > 0)
            {
                FlatSegment? segment = flat.Segments.FirstOrDefault(s => s.Name == tie.Name);
                Require(
                    segment is not null,
                    $"Stage {stage.Index} is to own the tied parameter '{tie.Name}', but its trainable parameters are {string.Join(", ", flat.Segments.Select(s => s.Name))}.");
                found.Add(new Tie(tie, segment, null));
            }
            else if (tie.Mirrors.Contains(stage.Index))
            {
                Parameter? mirror = stage.Mirrors.FirstOrDefault(m => m.Name == tie.Name).Parameter;
                Require(mirror is not null, $"Stage {stage.Index} uses the tied parameter '{tie.Name}' of stage {tie.Owner}, but declares no mirror of it.");
                found.Add(new Tie(tie, null, mirror));
            }
        }

        foreach (ParameterMirror mirror in stage.Mirrors)
        {
            Require(
                found.Any(tie => tie.Mirror is { } known && TensorIdentity.Of(known) == TensorIdentity.Of(mirror.Parameter)),
                $"Stage {stage.Index} mirrors '{mirror.Name}', which no tie gives it.");
        }

        this.ties = [.. found];
        Mirrors = [.. found.Where(tie => tie.Mirror is not null).Select(tie => tie.Mirror!)];
    }

    /// <summary>The stage's mirrors, in the order of the ties.</summary>
    public IReadOnlyList<Parameter> Mirrors { get; }

    /// <summary>Hands the owners' parts of a flat vector out to the mirrors.</summary>
    /// <param name="owned">This stage's flat vector, shape (n_s); only read.</param>
    /// <param name="mirrors">One tensor for each of <see cref="Mirrors"/>, overwritten in place.</param>
    /// <exception cref="InvalidOperationException">An owner's parameter has another shape than its mirror.</exception>
    public void Spread(torch.Tensor owned, IReadOnlyList<torch.Tensor> mirrors)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        using IDisposable noGrad = torch.no_grad();
        int next = 0;
        foreach (Tie tie in ties)
        {
            if (tie.Segment is { } segment)
            {
                // A copy, because what was sent must not change: the owner goes on to update its parameters.
                torch.Tensor part = segment.ViewOf(owned).clone();
                foreach (int mirror in tie.Parameter.Mirrors)
                {
                    pipeline!.Send(part, mirror);
                }
            }
            else
            {
                torch.Tensor part = pipeline!.Receive(tie.Parameter.Owner);
                RequireShape(tie, mirrors[next].shape, part.shape);
                mirrors[next++].copy_(part);
            }
        }
    }

    /// <summary>Adds what the mirrors found to the owners' parts of a flat vector.</summary>
    /// <param name="mirrors">One tensor for each of <see cref="Mirrors"/>; only read.</param>
    /// <param name="owned">This stage's flat vector, shape (n_s); added to in place.</param>
    public void Collect(IReadOnlyList<torch.Tensor> mirrors, torch.Tensor owned)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        using IDisposable noGrad = torch.no_grad();
        int next = 0;
        foreach (Tie tie in ties.Where(tie => tie.Mirror is not null))
        {
            pipeline!.Send(mirrors[next++].detach().clone(), tie.Parameter.Owner);
        }

        foreach (Tie tie in ties.Where(tie => tie.Segment is not null))
        {
            foreach (int mirror in tie.Parameter.Mirrors)
            {
                torch.Tensor part = pipeline!.Receive(mirror);
                RequireShape(tie, part.shape, tie.Segment!.Shape);
                tie.Segment.ViewOf(owned).Increase(part);
            }
        }
    }

    private static void Require(bool condition, string message)
    {
        if (!condition)
        {
            throw new ArgumentException(message);
        }
    }

    private static void RequireShape(Tie tie, IEnumerable<long> mirror, IEnumerable<long> owner)
    {
        if (!mirror.SequenceEqual(owner))
        {
            throw new InvalidOperationException(
                $"The tied parameter '{tie.Parameter.Name}' is ({string.Join(", ", owner)}) on stage {tie.Parameter.Owner}, its mirror ({string.Join(", ", mirror)}).");
        }
    }

    // One end: the owner's place in its flat vector, or the mirror.
    private sealed record Tie(TiedParameter Parameter, FlatSegment? Segment, Parameter? Mirror);
}
