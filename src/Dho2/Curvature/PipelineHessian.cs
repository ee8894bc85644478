using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Communication;
using Dho2.Numerics;
using Dho2.Pipelines;
using Dho2.Planning;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Curvature;

/// <summary>
/// Exact Hessian-vector products of a model that is split over stages (Pearlmutter 1994): per product one sweep up and
/// one down the pipeline over graphs that are built once, each rank keeping its own part of direction and product.
/// </summary>
/// <remarks>
/// <para>
/// Each rank owns twins of its stages, built by the same factories, whose parameters live on a flat buffer of their own:
/// <see cref="Begin(FlatParameters, CurvatureBatch)"/> copies the training stages' parameters and buffers there, so that
/// training may go on while products are taken. All ranks of all replicas call in step; <see cref="End"/> lets go of the
/// graphs.
/// </para>
/// <para>
/// Graphs are built and swept over by the instruction lists of training: 1F1B, interleaved where ranks hold several stages. Per
/// product and cut, tensors as large as the cut's differentiable values travel once up and once down.
/// </para>
/// </remarks>
public sealed class PipelineHessian : IHessianOperator, IDisposable
{
    private readonly TwinStage[] stages;
    private readonly StageLayout layout;
    private readonly StageContext context;
    private readonly ICommunicator? pipeline;
    private readonly Func<IReadOnlyList<Tensor>, IReadOnlyList<Tensor>, Tensor> loss;
    private readonly PipelineHessianSettings settings;
    private readonly bool retains;
    private readonly bool isTied;
    private readonly FlatParameters flat;
    private readonly Tensor[] products;
    private readonly TieExchange ties;
    private readonly Tensor[] mirrorDirections;
    private readonly List<DropoutSeeding> seedings = [];
    private readonly Dictionary<(int MicroBatches, int FirstStage), Instruction[]> instructions = [];
    private CurvatureBatch? batch;
    private bool built;
    private double counted;
    private double countFactor = 1;

    /// <summary>Creates the operator of a rank that holds one stage, without a batch yet.</summary>
    /// <param name="twin">A second instance of the stage; the operator's own from now on.</param>
    /// <param name="context">The context that the twin was built with.</param>
    /// <param name="pipeline">The group of this replica's stages, ranked by stage, or null if there is one; stays the caller's.</param>
    /// <param name="cuts">What crosses between stages, one for each pair of neighbours.</param>
    /// <param name="loss">The loss of one micro-batch, a mean over its samples (0-dimensional), from results and targets.</param>
    /// <param name="settings">How products are computed.</param>
    /// <param name="ties">Parameters that several stages share; null for none.</param>
    /// <exception cref="ArgumentException">Stage, group, cuts and ties do not belong together.</exception>
    public PipelineHessian(
        IPipelineStage twin,
        StageContext context,
        ICommunicator? pipeline,
        IReadOnlyList<CutPlan> cuts,
        Func<IReadOnlyList<Tensor>, IReadOnlyList<Tensor>, Tensor> loss,
        PipelineHessianSettings? settings = null,
        IReadOnlyList<TiedParameter>? ties = null)
        : this([twin], context, pipeline, cuts, loss, settings, ties)
    {
    }

    /// <summary>Creates the operator of a rank, without a batch yet.</summary>
    /// <param name="twins">Second instances of the rank's stages, in order: of every so many stages as there are ranks; the operator's own from now on.</param>
    /// <param name="context">The context that the twins were built with.</param>
    /// <param name="pipeline">The group of this replica's ranks, or null if there is one; stays the caller's.</param>
    /// <param name="cuts">What crosses between stages, one for each pair of neighbours.</param>
    /// <param name="loss">The loss of one micro-batch, a mean over its samples (0-dimensional), from results and targets.</param>
    /// <param name="settings">How products are computed.</param>
    /// <param name="ties">Parameters that several stages share; null for none, and none where ranks hold several stages.</param>
    /// <exception cref="ArgumentException">Stages, group, cuts and ties do not belong together.</exception>
    public PipelineHessian(
        IReadOnlyList<IPipelineStage> twins,
        StageContext context,
        ICommunicator? pipeline,
        IReadOnlyList<CutPlan> cuts,
        Func<IReadOnlyList<Tensor>, IReadOnlyList<Tensor>, Tensor> loss,
        PipelineHessianSettings? settings = null,
        IReadOnlyList<TiedParameter>? ties = null)
    {
        layout = new StageLayout(pipeline?.Size ?? 1, twins.Count);
        int rank = pipeline?.Rank ?? 0;
        if (!layout.StagesOf(rank).SequenceEqual(twins.Select(twin => twin.Index)) || layout.Stages != cuts.Count + 1)
        {
            throw new ArgumentException(
                $"Stage {string.Join(" and ", twins.Select(twin => twin.Index))} of {cuts.Count + 1} cannot be rank {rank} of {layout.Ranks}.", nameof(pipeline));
        }

        isTied = ties is { Count: > 0 };
        if (isTied && twins.Count > 1)
        {
            throw new ArgumentException($"'{ties![0].Name}' is tied over stages, which ranks with several stages cannot do.", nameof(ties));
        }

        this.context = context;
        this.pipeline = pipeline;
        this.loss = loss;
        this.settings = settings ?? new PipelineHessianSettings();
        retains = this.settings.RetainGraphs ?? true;
        flat = new FlatParameters([.. twins.SelectMany(twin => twin.Layers)], context.DType, context.Device, [.. twins.SelectMany(twin => twin.Mirrors)]);
        this.ties = new TieExchange(twins[0], flat, ties ?? [], pipeline);
        IReadOnlyList<Tensor> mirrors = this.ties.Mirrors;
        products =
        [
            .. flat.Segments.Select(s => s.ViewOf(flat.Gradients).DetachFromDisposeScope()),
            .. mirrors.Select(mirror => zeros_like(mirror).DetachFromDisposeScope()),
        ];
        mirrorDirections = [.. mirrors.Select(mirror => empty_like(mirror).DetachFromDisposeScope())];
        stages = [.. twins.Select(twin => new TwinStage(twin, cuts, flat, mirrors, products, ReusesTangents(twin.Index)))];
        foreach (StageLayer layer in twins.SelectMany(twin => twin.Layers))
        {
            if (layer.Module is { } module)
            {
                module.train(this.settings.TrainingMode);
                seedings.Add(new DropoutSeeding(module, layer.Name, context.Seed, context.Position));
            }
        }
    }

    /// <inheritdoc/>
    public long LocalSize => flat.Count;

    /// <summary>Whether products are added up over the batch's replicas; if not, that is left to the caller.</summary>
    internal bool ReducesProducts { get; init; } = true;

    /// <summary>A loss with weights of its own, in place of the mean: the sum over a micro-batch and the count that divides it, as in the definition.</summary>
    public Func<IReadOnlyList<Tensor>, IReadOnlyList<Tensor>, (Tensor Sum, Tensor Count)>? CountedLoss { get; init; }

    /// <summary>The parameters of this stage's shard.</summary>
    public IReadOnlyList<ParameterSegment> Segments => [.. flat.Segments.Select(s => new ParameterSegment(s.Name, s.Offset, s.Length))];

    /// <summary>The number of the stage's buffers, such as running statistics.</summary>
    public int BufferCount => flat.Buffers.Count;

    /// <summary>The parameters that products are taken at, shape (n_s): the snapshot that was taken last.</summary>
    public Tensor Snapshot => flat.Values;

    /// <summary>Fixes parameters and batch.</summary>
    /// <param name="training">The stage that is being trained; copied.</param>
    /// <param name="curvatureBatch">The samples, which must stay as they are until <see cref="End"/>.</param>
    /// <exception cref="ArgumentException">The stage has other numbers of parameters or buffers than its twin.</exception>
    public void Begin(FlatParameters training, CurvatureBatch curvatureBatch) =>
        Begin(training.Values, [.. training.Buffers.Select(b => b.Buffer)], curvatureBatch);

    /// <summary>Fixes parameters and batch.</summary>
    /// <param name="values">The stage's parameters, shape (n_s); copied.</param>
    /// <param name="buffers">Its buffers, in order; copied.</param>
    /// <param name="curvatureBatch">The samples, which must stay as they are until <see cref="End"/>.</param>
    /// <exception cref="ArgumentException">There are other numbers of parameters or buffers than the twin has.</exception>
    public void Begin(Tensor values, IReadOnlyList<Tensor> buffers, CurvatureBatch curvatureBatch)
    {
        if (values.numel() != flat.Count || buffers.Count != flat.Buffers.Count)
        {
            throw new ArgumentException(
                $"The training stage has {values.numel()} parameters and {buffers.Count} buffers, its twin {flat.Count} and {flat.Buffers.Count}.",
                nameof(values));
        }

        End();
        using DisposeScope scope = NewDisposeScope();
        using (no_grad())
        {
            flat.Values.copy_(values);
            for (int i = 0; i < flat.Buffers.Count; i++)
            {
                flat.Buffers[i].Buffer.copy_(buffers[i]);
            }
        }

        ties.Spread(flat.Values, ties.Mirrors);
        batch = curvatureBatch.Keep();
        Array.ForEach(stages, stage => stage.Open(batch.Sizes.Count));
    }

    /// <summary>
    /// Builds the graphs where they are kept, which the first product does otherwise: it costs about as much as one.
    /// </summary>
    /// <exception cref="InvalidOperationException">There is no batch: <c>Begin</c> comes first.</exception>
    /// <exception cref="CurvatureException">A stage's forward or backward failed.</exception>
    public void Prepare()
    {
        CurvatureBatch current = Current();
        if (retains && !built)
        {
            Build(0, current.Sizes.Count);
            ReduceCount(current);
            built = true;
        }
    }

    /// <summary>Multiplies the matrix, at the snapshot and over the batch, with a vector.</summary>
    /// <param name="direction">This stage's shard of the vector, shape (n_s).</param>
    /// <param name="product">Overwritten with this stage's shard of the product, shape (n_s).</param>
    /// <exception cref="InvalidOperationException">There is no batch: <c>Begin</c> comes first.</exception>
    /// <exception cref="CurvatureException">A sweep failed.</exception>
    public void Multiply(Tensor direction, Tensor product) => Multiply(direction, product, 0);

    /// <summary>
    /// The same for a vector that is zero on all stages before one, of whose product only the shards from that stage on are
    /// wanted, as for that stage's diagonal block: the stages before it have nothing to do. All stages call it in step.
    /// </summary>
    /// <param name="direction">This stage's shard of the vector, shape (n_s).</param>
    /// <param name="product">Overwritten with this stage's shard of the product, shape (n_s); with zeros on the stages before.</param>
    /// <param name="firstStage">The stage, the same on all of them.</param>
    /// <exception cref="InvalidOperationException">There is no batch: <c>Begin</c> comes first.</exception>
    /// <exception cref="CurvatureException">A sweep failed.</exception>
    public void Multiply(Tensor direction, Tensor product, int firstStage)
    {
        CurvatureBatch current = Current();
        using DisposeScope scope = NewDisposeScope();
        Prepare();

        // A tied parameter of a later stage may act on an earlier one.
        int first = isTied ? 0 : firstStage;
        bool hasPart = stages[^1].Twin.Index >= first;
        if (retains && !hasPart)
        {
            product.zero_();
            return;
        }

        ties.Spread(direction, mirrorDirections);
        flat.Gradients.zero_();
        Array.ForEach(products[flat.Segments.Count..], product => product.zero_());
        int chunk = Math.Max(1, retains ? current.Sizes.Count : layout.Stages);
        for (int start = 0; start < current.Sizes.Count; start += chunk)
        {
            int end = Math.Min(start + chunk, current.Sizes.Count);
            if (!retains)
            {
                Build(start, end);
            }

            if (hasPart)
            {
                Sweep(start, end, direction, first);
            }

            if (!retains)
            {
                ReleaseGraphs();
            }
        }

        if (!retains)
        {
            ReduceCount(current);
        }

        ties.Collect(products[flat.Segments.Count..], flat.Gradients);
        using (no_grad())
        {
            product.copy_(flat.Gradients).ScaleBy(countFactor);
        }

        if (hasPart && ReducesProducts)
        {
            current.Replicas?.AllReduce(product);
        }
    }

    /// <summary>Lets go of graphs and batch.</summary>
    public void End()
    {
        ReleaseGraphs();
        batch?.Release();
        batch = null;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        End();
        seedings.ForEach(seeding => seeding.Dispose());
        Array.ForEach(products, view => view.Dispose());
        Array.ForEach(mirrorDirections, direction => direction.Dispose());
        Array.ForEach(stages, stage => stage.Twin.Dispose());
        flat.Dispose();
    }

    private CurvatureBatch Current() =>
        batch ?? throw new InvalidOperationException("Products need parameters and a batch: call Begin first.");

    private bool ReusesTangents(int stage) => settings.ReusesTangentsOf?[stage] ?? settings.ReuseTangents ?? false;

    private void Build(int start, int end)
    {
        CreateGraphWarning.GetOver();
        using IDisposable grad = enable_grad();
        using MathAttention attention = new();
        new GraphPass(this, batch!).Run(InstructionsFor(end - start, 0), start);
    }

    private Tensor LossOf(IReadOnlyList<Tensor> results, int microBatch)
    {
        Tensor[] targets = batch!.MicroBatch(batch.Samples.Targets, microBatch);
        if (CountedLoss is null)
        {
            return loss(results, targets);
        }

        (Tensor sum, Tensor count) = CountedLoss(results, targets);
        counted += count.ToDouble();
        return sum.Over(batch.Sizes[microBatch]);
    }

    // What the loss counts is known once all micro-batches went forward; the matrix is linear in the loss, so that
    // products divided by samples are put right by one factor.
    private void ReduceCount(CurvatureBatch current)
    {
        if (CountedLoss is not null)
        {
            Span<double> total = [counted];
            counted = 0;
            pipeline?.AllReduce(total);
            current.Replicas?.AllReduce(total);
            countFactor = total[0] > 0 ? current.TotalSamples / total[0] : 0;
        }
    }

    private void Sweep(int start, int end, Tensor direction, int first)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable grad = enable_grad();
        foreach (TwinStage stage in stages)
        {
            for (int i = 0; i < stage.Leaves.Length; i++)
            {
                stage.Leaves[i].grad = stage.Products[i];
            }
        }

        new SweepPass(this, batch!, direction, first).Run(InstructionsFor(end - start, first), start);
        foreach (Tensor leaf in stages.SelectMany(stage => stage.Leaves))
        {
            leaf.grad = null;
        }
    }

    // As with 1F1B in training, tangents of no more micro-batches live at a time than there are stages left. What lies before
    // the first stage is left out with both ends of its messages, which cannot hold up anything that stays.
    private Instruction[] InstructionsFor(int microBatches, int first)
    {
        if (!instructions.TryGetValue((microBatches, first), out Instruction[]? list))
        {
            Schedule schedule = layout.StagesPerRank > 1 ? Schedule.Interleaved : Schedule.OneForwardOneBackward;
            list =
            [
                .. ScheduleBuilder.Build(schedule, layout.Stages, microBatches, layout.StagesPerRank)[pipeline?.Rank ?? 0]
                    .Where(i => i.Stage > first || (i.Stage == first && i.Kind is not (InstructionKind.ReceiveActivation or InstructionKind.SendGradient))),
            ];
            instructions.Add((microBatches, first), list);
        }

        return list;
    }

    private void ReleaseGraphs()
    {
        Array.ForEach(stages, stage => stage.Release());
        built = false;
    }

    /// <summary>Builds the graphs: values go up, cotangents come down.</summary>
    private sealed class GraphPass(PipelineHessian hessian, CurvatureBatch batch) : StagePass(hessian.stages, hessian.layout, hessian.pipeline, batch)
    {
        private readonly CurvatureBatch batch = batch;

        protected override string UpwardName => "forward";

        protected override string DownwardName => "backward";

        protected override IEnumerable<Tensor> Forward(TwinStage stage, int microBatch)
        {
            TwinSlot slot = stage.Slots[microBatch];
            StageGraph graph = slot.Graph = new StageGraph(stage.Incoming, stage.Outgoing, hessian.settings.Matrix, stage.ReusesTangents);
            if (stage.Incoming is not null)
            {
                graph.SetInputs([.. slot.Arrived.Select(value => value.alias())]);
            }

            double weight = (double)batch.Sizes[microBatch] / batch.TotalSamples;
            hessian.context.Position.MoveTo(batch.Step, batch.FirstMicroBatch + microBatch);
            graph.Forward(
                stage.Twin,
                stage.Incoming is null ? batch.MicroBatch(batch.Samples.Inputs, microBatch) : null,
                stage.Outgoing is null ? results => hessian.LossOf(results, microBatch).Times(weight) : null);
            return stage.Outgoing is null ? [] : graph.Outputs.Select(output => output.detach());
        }

        protected override IEnumerable<Tensor> Backward(TwinStage stage, int microBatch)
        {
            TwinSlot slot = stage.Slots[microBatch];
            if (stage.Outgoing is { } outgoing)
            {
                int next = 0;
                slot.Graph!.SetCotangents(
                    [.. slot.Graph.Outputs.Select((output, value) => StageGraph.Travels(outgoing, value, output) ? slot.Arrived[next++].alias() : null)]);
            }

            return slot.Graph!.Backward(stage.Leaves);
        }

        protected override int CountFromBefore(TwinStage stage, TwinSlot slot) => stage.Incoming!.Values.Count;

        protected override int CountFromAfter(TwinStage stage, TwinSlot slot) => slot.Graph!.OutgoingCount;
    }

    /// <summary>Multiplies: tangents go up, their adjoints come down, and the product adds up on the way.</summary>
    private sealed class SweepPass : StagePass
    {
        private readonly PipelineHessian hessian;
        private readonly int first;
        private readonly Dictionary<TwinStage, Tensor[]> directions;

        public SweepPass(PipelineHessian hessian, CurvatureBatch batch, Tensor direction, int first)
            : base(hessian.stages, hessian.layout, hessian.pipeline, batch)
        {
            this.hessian = hessian;
            this.first = first;
            directions = hessian.stages.ToDictionary(stage => stage, stage => stage.PartsOf(direction, hessian.mirrorDirections));
        }

        protected override string UpwardName => "upward sweep";

        protected override string DownwardName => "downward sweep";

        protected override IEnumerable<Tensor> Forward(TwinStage stage, int microBatch)
        {
            TwinSlot slot = stage.Slots[microBatch];
            Tensor[] tangents = slot.Graph!.Up(directions[stage], slot.Arrived);
            return stage.Outgoing is null && hessian.settings.Matrix == CurvatureMatrix.GaussNewton ? slot.Graph.MultiplyLoss(tangents) : tangents;
        }

        protected override IEnumerable<Tensor> Backward(TwinStage stage, int microBatch)
        {
            TwinSlot slot = stage.Slots[microBatch];
            return slot.Graph!.Down(stage.Leaves, directions[stage], slot.Arrived, stage.Twin.Index > first);
        }

        protected override int CountFromBefore(TwinStage stage, TwinSlot slot) => slot.Graph!.IncomingCount;

        protected override int CountFromAfter(TwinStage stage, TwinSlot slot) => slot.Graph!.OutgoingCount;
    }
}
