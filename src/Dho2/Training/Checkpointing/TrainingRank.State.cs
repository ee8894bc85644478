using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Admm;
using Dho2.Checkpoints;
using Dho2.Communication;
using Dho2.Curvature;
using Dho2.Numerics;
using Dho2.Optimizers;
using Dho2.Pipelines;
using TorchSharp;

namespace Dho2;

/// <summary>What a rank's checkpoint holds, and how the rank goes on from one.</summary>
internal sealed partial class TrainingRank : IStateful
{
    private const string VectorsName = "curvature.vectors";
    private const string EigenvaluesName = "curvature.eigenvalues";
    private const string RestName = "newton.rest";
    private const string StartedName = "curvature.started";
    private const string PendingName = "curvature.pending";
    private const string ParametersName = "parameters";
    private const string DualName = "admm.scaled_dual";
    private const string CeilingName = "admm.sigma_ceiling";

    // Replicas that train locally differ in these, all others are alike.
    private static readonly string[] LocalNumbers = ["newton.coefficients", "newton.rest_factor", "base.coefficients"];

    /// <summary>All ranks that train.</summary>
    public ICommunicator Workers => workers;

    // Elements of the optimizer's vectors: all of the rank's, or this replica's share of them.
    private long VectorLength => shard?.Length ?? flat.Count;

    private bool TrainsLocally => admm is { AveragesGradients: false };

    private StateScope ReplicaScope => TrainsLocally ? StateScope.PerReplica : StateScope.Run;

    // Where each stage has a subspace of its own, the numbers of the update are its own too.
    private StateScope BlockScope => setup.Curvature?.Scope == CurvatureScope.Stage ? StateScope.PerStage : StateScope.Run;

    // Replicas share the estimate, unless each makes its own.
    private StateScope CurvatureScopeOf => setup.HasLocalCurvature ? StateScope.PerReplica : StateScope.Run;

    /// <summary>What this rank has to save; tensors are live.</summary>
    /// <param name="more">Other parts of the state.</param>
    public RankContent Describe(IEnumerable<IStateful> more)
    {
        StateWriter NewWriter() => new(flat.Segments, Stage, Replica);
        StateWriter weights = NewWriter();
        StateWriter state = NewWriter();
        IReadOnlyList<(string Name, torch.Tensor Buffer)> buffers = agreed.Buffers();
        if (Replica == 0)
        {
            // Between two rounds a replica stands elsewhere than what all have agreed on.
            weights.Weights((admm as ConsensusUpdate)?.Consensus ?? flat.Values);
            foreach ((string name, torch.Tensor buffer) in buffers)
            {
                weights.Tensor(name, buffer);
            }
        }

        Save(state);
        foreach (IStateful component in more)
        {
            component.Save(state);
        }

        return new RankContent(
            Stage,
            Replica,
            weights,
            state,
            Replica > 0 ? [] : [.. flat.Segments.Select(s => new StoredTensor(s.Name, Stage, TensorMemory.TypeOf(setup.DType).Name(), s.Shape))],
            Replica > 0 ? [] : [.. flat.Buffers.Select(b => new StoredTensor(b.Name, Stage, TensorMemory.TypeOf(b.Buffer.dtype).Name(), b.Buffer.shape))]);
    }

    /// <inheritdoc/>
    public void Save(StateWriter state)
    {
        state.Numbers("training.progress", [Steps, Epochs]);
        if (TrainsLocally && Steps % admm!.Period != 0)
        {
            state.Vector(ParametersName, flat.Values, StateScope.PerReplica);
        }

        if (setup.Replicas > 1)
        {
            foreach ((string name, torch.Tensor buffer) in flat.Buffers)
            {
                state.Tensor(StatePaths.Buffer(name), buffer, StateScope.PerReplica);
            }
        }

        OptimizerState update = optimizer.GetState();
        foreach ((string name, torch.Tensor vector) in update.Vectors)
        {
            state.Vector("optimizer." + name, vector, name == VectorsName ? CurvatureScopeOf : ReplicaScope, shard?.Segments);
        }

        foreach ((string name, double[] numbers) in update.Numbers)
        {
            state.Numbers("optimizer." + name, numbers, BlockScope | ScopeOf(name));
        }

        if (curvature is not null)
        {
            // An estimate under way is completed first; when it takes force stays as it was.
            OptimizerState estimate = curvature.GetState();
            foreach ((string name, torch.Tensor vector) in estimate.Vectors)
            {
                state.Vector(name, vector, CurvatureScopeOf, shard?.Segments);
            }

            foreach ((string name, double[] numbers) in estimate.Numbers)
            {
                state.Numbers(name, numbers, BlockScope | CurvatureScopeOf);
            }
        }

        if (IsCurvatureDropped)
        {
            state.Number(DroppedName, 1);
        }

        schedule?.Save(state);
        SaveAdmm(state);
    }

    /// <inheritdoc/>
    public void Load(StateReader state)
    {
        using IDisposable noGrad = torch.no_grad();
        double[] progress = state.Numbers("training.progress");
        Steps = (long)progress[0];
        Epochs = (int)progress[1];
        foreach ((string name, torch.Tensor buffer) in flat.Buffers)
        {
            state.Buffer(name, buffer);
        }

        // A checkpoint of local training has the replicas' own parameters between two rounds; else all stand at the weights.
        if (!state.TryVector(ParametersName, flat.Values, ReplicaScope))
        {
            state.Weights(flat.Values);
        }

        // Whoever leaves dropping out of the options takes curvature up again.
        IsCurvatureDropped = setup.Options.CurvatureTrial?.WhenItDoesNotPay == UnpaidCurvature.Drop && state.HasNumbers(DroppedName);
        bool keepsCurvature = KeepsCurvature(state);
        LoadOptimizer(state, keepsCurvature && state.HasNumbers("optimizer." + EigenvaluesName));
        if (curvature is not null)
        {
            if (keepsCurvature)
            {
                LoadEstimate(state, curvature);
            }
            else
            {
                curvature.IsDue |= Steps + 1 >= setup.Curvature!.Warmup;
            }
        }

        LoadAdmm(state);
        agreed.Load(state);
        if (schedule is not null)
        {
            schedule.Load(state);
            LearningRate = schedule.Rate;
        }
    }

    /// <summary>Takes the stage's parameters and buffers, and nothing else.</summary>
    /// <param name="weights">The files.</param>
    /// <param name="names">The files' name for each of the model's that they call otherwise; null for none.</param>
    /// <exception cref="CheckpointException">A name is missing or has another shape.</exception>
    public void LoadWeights(WeightFiles weights, IReadOnlyDictionary<string, string>? names)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        foreach ((string name, torch.Tensor tensor) in flat.NamedValues())
        {
            weights.Read(name, names, tensor);
        }

        using IDisposable noGrad = torch.no_grad();
        switch (admm)
        {
            case ConsensusUpdate consensus:
                consensus.Consensus.copy_(flat.Values);
                consensus.ScaledDual.zero_();
                break;
            case DualUpdate dual:
                dual.Anchor.copy_(flat.Values);
                dual.Dual.zero_();
                break;
        }
    }

    private void LoadEstimate(StateReader state, CurvatureWork work)
    {
        var vectors = new Dictionary<string, torch.Tensor>();
        var numbers = new Dictionary<string, double[]> { [StartedName] = state.Numbers(StartedName, BlockScope | CurvatureScopeOf) };
        if (state.HasNumbers(PendingName))
        {
            numbers[PendingName] = state.Numbers(PendingName, BlockScope | CurvatureScopeOf);
            if (state.RowsOf(PendingName) is > 0 and long rows)
            {
                vectors[PendingName] = torch.empty([rows, VectorLength], state.TypeOf(PendingName) ?? setup.DType).DetachFromDisposeScope();
                state.Vector(PendingName, vectors[PendingName], CurvatureScopeOf, shard?.Segments);
            }
        }

        work.SetState(new OptimizerState(vectors, numbers));
        foreach (torch.Tensor vector in vectors.Values)
        {
            vector.Dispose();
        }
    }

    private void LoadOptimizer(StateReader state, bool keepsSubspace)
    {
        // The base's vectors are filled where they are.
        Dictionary<string, torch.Tensor> vectors = optimizer.GetState().Vectors
            .Where(v => v.Key.StartsWith("base.", StringComparison.Ordinal))
            .ToDictionary(v => v.Key, v => v.Value);
        foreach ((string name, torch.Tensor vector) in vectors)
        {
            state.Vector("optimizer." + name, vector, ReplicaScope, shard?.Segments);
        }

        Dictionary<string, double[]> numbers = HybridOptimizer.NumbersOfState(keepsSubspace)
            .ToDictionary(name => name, name => state.Numbers("optimizer." + name, BlockScope | ScopeOf(name)));
        if (keepsSubspace)
        {
            int rows = numbers[EigenvaluesName].Length;
            torch.Tensor eigenvectors = torch.empty([rows, VectorLength], setup.HybridSettings.VectorType ?? setup.DType).DetachFromDisposeScope();
            vectors[VectorsName] = eigenvectors;
            state.Vector("optimizer." + VectorsName, eigenvectors, CurvatureScopeOf, shard?.Segments);
            if (state.HasVector("optimizer." + RestName))
            {
                vectors[RestName] = torch.empty(VectorLength, setup.DType).DetachFromDisposeScope();
                state.Vector("optimizer." + RestName, vectors[RestName], ReplicaScope, shard?.Segments);
            }
        }

        optimizer.SetState(new OptimizerState(vectors, numbers), adopt: true);
    }

    // Eigenvectors of the whole Hessian are anybody's; those of one stage's block only mean something to the same stage.
    // Before the first ones are in force there may be an estimate already.
    private bool KeepsCurvature(StateReader state)
    {
        if (curvature is null || !state.HasNumbers(StartedName))
        {
            return false;
        }

        bool blocks = setup.Curvature!.Scope == CurvatureScope.Stage;
        bool local = setup.HasLocalCurvature;
        bool fits = (!local || state.SameReplicas)
            && local.ToString() == state.Manifest.Configuration.GetValueOrDefault("curvature.local")
            && blocks.ToString() == state.Manifest.Configuration.GetValueOrDefault("curvature.blocks")
            && (!blocks || state.Manifest.Parameters.Where(p => p.Stage == Stage).Select(p => p.Name).SequenceEqual(flat.Segments.Select(s => s.Name)));
        Span<double> misfits = [fits ? 0 : 1];
        workers.AllReduce(misfits, Reduction.Max);
        return misfits[0] == 0;
    }

    private StateScope ScopeOf(string number) =>
        LocalNumbers.Contains(number) ? ReplicaScope
        : number.StartsWith("curvature.", StringComparison.Ordinal) ? CurvatureScopeOf
        : StateScope.Run;

    private void SaveAdmm(StateWriter state)
    {
        if (admm is null)
        {
            return;
        }

        foreach ((string name, double number) in admm.Numbers)
        {
            state.Number("admm." + name, number);
        }

        switch (admm)
        {
            case ConsensusUpdate consensus:
                state.Vector(DualName, consensus.ScaledDual, StateScope.PerReplica);
                state.Number(CeilingName, consensus.SigmaCeiling);
                break;
            case DualUpdate dual:
                state.Vector("admm.anchor", dual.Anchor);
                state.Vector("admm.dual", dual.Dual);
                break;
        }
    }

    private void LoadAdmm(StateReader state)
    {
        // A balanced sigma is part of the state; a constant one is the run's setting.
        if (admm is not null && setup.Options.ResidualBalance is not null)
        {
            admm.SetNumbers(admm.Numbers.ToDictionary(
                n => n.Key, n => state.HasNumbers("admm." + n.Key) ? state.Number("admm." + n.Key) : n.Value));
        }

        optimizer.Sigma = admm?.Sigma ?? 0;
        switch (admm)
        {
            case ConsensusUpdate consensus:
                state.Weights(consensus.Consensus);
                LoadDual(state, consensus.ScaledDual);
                consensus.SigmaCeiling = state.HasNumbers(CeilingName) ? state.Number(CeilingName) : optimizer.SigmaCeiling;
                break;
            case DualUpdate dual:
                if (!state.TryVector("admm.anchor", dual.Anchor) || !state.TryVector("admm.dual", dual.Dual))
                {
                    dual.Anchor.copy_(flat.Values);
                    dual.Dual.zero_();
                }

                break;
        }
    }

    // At rest u_r is the gradient of a replica's own loss over -sigma, so that a replica which takes over the data of
    // several has their mean. Means over equal shares keep the sum at 0, but for rounding, which is taken off.
    private void LoadDual(StateReader state, torch.Tensor dual)
    {
        if (!state.TryVector(DualName, dual, StateScope.PerReplica))
        {
            dual.zero_();
        }
        else if (!state.SameReplicas)
        {
            using torch.Tensor mean = dual.clone();
            replicas.AllReduce(mean);
            dual.sub_(mean.DivideBy(replicas.Size));
        }
    }
}
