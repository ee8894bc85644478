using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Communication;
using Dho2.Pipelines;
using Dho2.Planning;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Curvature;

/// <summary>
/// Exact Hessian-vector products of a model that is split over stages (Pearlmutter 1994): per product one sweep up and
/// one down the pipeline over graphs that are built once, each stage keeping its own part of direction and product.
/// </summary>
/// <remarks>
/// <para>
/// Each rank owns a twin of its stage, built by the same factory, whose parameters live on a flat buffer of their own:
/// <see cref="Begin(FlatParameters, CurvatureBatch)"/> copies the training stage's parameters and buffers there, so that
/// training may go on while products are taken. All stages of all replicas call in step; <see cref="End"/> lets go of the
/// graphs.
/// </para>
/// <para>
/// Per product and cut, tensors as large as the cut's differentiable values travel once up and once down.
/// </para>
/// </remarks>
public sealed class PipelineHessian : IHessianOperator, IDisposable
{
    private readonly IPipelineStage twin;
    private readonly StageContext context;
    private readonly ICommunicator? pipeline;
    private readonly Func<IReadOnlyList<Tensor>, IReadOnlyList<Tensor>, Tensor> loss;
    private readonly PipelineHessianSettings settings;
    private readonly bool retains;
    private readonly bool isTied;
    private readonly CutPlan? incoming;
    private readonly CutPlan? outgoing;
    private readonly FlatParameters flat;
    private readonly Tensor[] leaves;
    private readonly Tensor[] products;
    private readonly TieExchange ties;
    private readonly Tensor[] mirrorDirections;
    private readonly List<DropoutSeeding> seedings = [];
    private CurvatureBatch? batch;
    private StageGraph?[] graphs = [];
    private bool built;
    private double counted;
    private double countFactor = 1;

    /// <summary>Creates the operator of one stage, without a batch yet.</summary>
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
    {
        if (twin.Index != (pipeline?.Rank ?? 0) || cuts.Count + 1 != (pipeline?.Size ?? 1))
        {
            throw new ArgumentException(
                $"Stage {twin.Index} of {cuts.Count + 1} cannot be rank {pipeline?.Rank ?? 0} of {pipeline?.Size ?? 1}.", nameof(pipeline));
        }

        this.twin = twin;
        this.context = context;
        this.pipeline = pipeline;
        this.loss = loss;
        this.settings = settings ?? new PipelineHessianSettings();
        retains = this.settings.RetainGraphs ?? true;
        isTied = ties is { Count: > 0 };
        incoming = twin.Index > 0 ? cuts[twin.Index - 1] : null;
        outgoing = twin.Index < cuts.Count ? cuts[twin.Index] : null;
        flat = new FlatParameters(twin.Layers, context.DType, context.Device, twin.Mirrors);
        this.ties = new TieExchange(twin, flat, ties ?? [], pipeline);
        IReadOnlyList<Tensor> mirrors = this.ties.Mirrors;
        leaves = [.. flat.Parameters, .. mirrors];
        products =
        [
            .. flat.Segments.Select(s => View(flat.Gradients, s).DetachFromDisposeScope()),
            .. mirrors.Select(mirror => zeros_like(mirror).DetachFromDisposeScope()),
        ];
        mirrorDirections = [.. mirrors.Select(mirror => empty_like(mirror).DetachFromDisposeScope())];
        foreach (StageLayer layer in twin.Layers)
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
        graphs = new StageGraph?[batch.Sizes.Count];
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
        if (retains && twin.Index < first)
        {
            product.zero_();
            return;
        }

        ties.Spread(direction, mirrorDirections);
        flat.Gradients.zero_();
        Array.ForEach(products[flat.Segments.Count..], product => product.zero_());
        int chunk = Math.Max(1, retains ? current.Sizes.Count : pipeline?.Size ?? 1);
        for (int start = 0; start < current.Sizes.Count; start += chunk)
        {
            int end = Math.Min(start + chunk, current.Sizes.Count);
            if (!retains)
            {
                Build(start, end);
            }

            if (twin.Index >= first)
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
            product.copy_(flat.Gradients).mul_(countFactor);
        }

        if (twin.Index >= first && ReducesProducts)
        {
            current.Replicas?.AllReduce(product);
        }
    }

    /// <summary>Lets go of graphs and batch.</summary>
    public void End()
    {
        ReleaseGraphs();
        graphs = [];
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
        twin.Dispose();
        flat.Dispose();
    }

    private CurvatureBatch Current() =>
        batch ?? throw new InvalidOperationException("Products need parameters and a batch: call Begin first.");

    private void Build(int start, int end)
    {
        CurvatureBatch current = batch!;
        CreateGraphWarning.GetOver();
        using IDisposable grad = enable_grad();
        using MathAttention attention = new();
        ForEach(start, end, "forward", i =>
        {
            StageGraph graph = graphs[i] = new StageGraph(incoming, outgoing, settings.Matrix, settings.ReuseTangents ?? false);
            if (incoming is not null)
            {
                graph.SetInputs([.. incoming.Values.Select(_ => pipeline!.Receive(twin.Index - 1))]);
            }

            double weight = (double)current.Sizes[i] / current.TotalSamples;
            context.Position.MoveTo(current.Step, current.FirstMicroBatch + i);
            graph.Forward(
                twin,
                incoming is null ? current.MicroBatch(current.Samples.Inputs, i) : null,
                outgoing is null ? results => LossOf(results, i).mul(weight) : null);
            if (outgoing is not null)
            {
                Send(graph.Outputs.Select(output => output.detach()), +1);
            }
        });
        ForEach(start, end, "backward", i =>
        {
            StageGraph graph = graphs[i]!;
            if (outgoing is not null)
            {
                graph.SetCotangents([.. graph.Outputs.Select((output, value) =>
                    StageGraph.Travels(outgoing, value, output) ? pipeline!.Receive(twin.Index + 1) : null)]);
            }

            Send(graph.Backward(leaves), -1);
        });
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
        return sum.div(batch.Sizes[microBatch]);
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
        Tensor[] views = [.. flat.Segments.Select(segment => View(direction, segment)), .. mirrorDirections];
        bool hasBelow = twin.Index > first;
        for (int i = 0; i < leaves.Length; i++)
        {
            leaves[i].grad = products[i];
        }

        // As with 1F1B in training: a stage goes as many micro-batches ahead as there are stages after it, so that tangents of
        // no more than that live at a time. The last stage turns each micro-batch round as it comes.
        int ahead = outgoing is null ? 0 : Math.Min(pipeline!.Size - 1 - twin.Index, end - start);
        ForEach(start, start + ahead, "upward sweep", Rise);
        for (int i = start; i < end; i++)
        {
            if (outgoing is not null && i + ahead < end)
            {
                ForEach(i + ahead, i + ahead + 1, "upward sweep", Rise);
            }

            ForEach(i, i + 1, "downward sweep", Fall);
        }

        foreach (Tensor leaf in leaves)
        {
            leaf.grad = null;
        }

        void Rise(int i) => Send(graphs[i]!.Up(views, Tangents(graphs[i]!)), +1);

        void Fall(int i)
        {
            StageGraph graph = graphs[i]!;
            Tensor[] adjoints = outgoing is null ? TurnRound(graph) : Receive(graph.OutgoingCount, +1);
            Send(graph.Down(leaves, views, adjoints, hasBelow), -1);
        }

        Tensor[] Tangents(StageGraph graph) => hasBelow ? Receive(graph.IncomingCount, -1) : [];

        Tensor[] TurnRound(StageGraph graph)
        {
            Tensor[] tangents = graph.Up(views, Tangents(graph));
            return settings.Matrix == CurvatureMatrix.Hessian ? [] : graph.MultiplyLoss(tangents);
        }
    }

    private Tensor[] Receive(int count, int neighbour) =>
        [.. Enumerable.Range(0, count).Select(_ => pipeline!.Receive(twin.Index + neighbour))];

    private void Send(IEnumerable<Tensor> tensors, int neighbour)
    {
        foreach (Tensor tensor in tensors)
        {
            pipeline!.Send(tensor, twin.Index + neighbour);
        }
    }

    private void ForEach(int start, int end, string sweep, Action<int> action)
    {
        for (int i = start; i < end; i++)
        {
            pipeline?.Activity.Enter($"{sweep} of the curvature", twin.Index, batch!.Step, i);
            try
            {
                using DisposeScope scope = NewDisposeScope();
                action(i);
            }
            catch (Exception e)
            {
                DropoutSeeding.ReleaseAfterFailure();
                throw new CurvatureException(twin.Index, i, sweep, e);
            }
        }
    }

    private void ReleaseGraphs()
    {
        for (int i = 0; i < graphs.Length; i++)
        {
            graphs[i]?.Dispose();
            graphs[i] = null;
        }

        built = false;
    }

    private static Tensor View(Tensor vector, FlatSegment segment) =>
        vector.narrow(0, segment.Offset, segment.Length).view([.. segment.Shape]);
}
