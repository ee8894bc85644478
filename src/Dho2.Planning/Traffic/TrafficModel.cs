using System.Collections.Generic;
using System.Linq;

namespace Dho2.Planning;

/// <summary>
/// Predicts, to the byte, what each worker of a run sends: in a training step, in building the graphs of an estimate, in a
/// Hessian-vector product, and in handing a snapshot to a rank that estimates beside it.
/// </summary>
public sealed class TrafficModel
{
    private readonly Plan plan;
    private readonly int replicas;
    private readonly int positions;
    private readonly long element;
    private readonly long computed;

    /// <summary>Prepares the prediction of a plan.</summary>
    public TrafficModel(Plan plan)
    {
        this.plan = plan;
        replicas = plan.Options.Replicas;
        positions = plan.Layout.Ranks;
        element = ElementTypes.SizeOf(ElementTypes.MasterOf(plan.Options.DType));
        computed = ElementTypes.SizeOf(plan.Options.DType);
    }

    private AdmmOptions? Admm => replicas > 1 ? plan.Options.Admm : null;

    private bool IsLocal => Admm?.Rule == AdmmRule.Consensus;

    private int Workers => positions * replicas;

    /// <summary>One training step.</summary>
    /// <param name="position">The rank's place in its pipeline: with one stage on each rank, its stage.</param>
    /// <param name="facts">What the step does.</param>
    public StepTraffic Step(int position, StepFacts facts)
    {
        bool sharded = plan.IsSharded;
        int normGroup = sharded ? Workers : positions;

        // The norm's square within its group; loss, norm, count and the time at work of all.
        long numbers = RingVolume.Numbers(normGroup, 1) + RingVolume.Numbers(Workers, 4);
        if (facts.CountsLoss)
        {
            numbers += RingVolume.Numbers(IsLocal ? positions : Workers, 1);
        }

        if (facts.Pairs > 0)
        {
            bool isGlobal = plan.Options.Curvature!.Scope == CurvatureScope.Global;
            int group = (isGlobal ? positions : 1) * (sharded ? replicas : 1);
            int readings = plan.Options.Base == BaseKind.Adam || facts.DecaysWeights ? 2 : 1;
            numbers += readings * RingVolume.Numbers(group, facts.Pairs);
        }

        return new StepTraffic(
            Cuts(position, facts.Sizes),
            IsLocal ? 0 : sharded ? SafeInteger.Multiply(ShareBytes(position), 2L * (replicas - 1)) : Reduction(position),
            facts.EndsPeriod ? Round(position) : 0,
            numbers)
        {
            Ties = SpreadTies(position) + CollectTies(position),
        };
    }

    /// <summary>Handing owners' parts of tied parameters, or of a vector like them, to the stages that mirror them.</summary>
    /// <param name="position">The stage; ties go with one stage on each rank.</param>
    /// <param name="inProducts">Whether it is for products, and not for a step, which takes them as it computes with them.</param>
    public long SpreadTies(int position, bool inProducts = false) =>
        plan.Ties.Where(tie => tie.Owner == position).Sum(tie => tie.Mirrors.Count * tie.Count * (inProducts ? element : computed));

    /// <summary>Handing what mirrors found back to the owners.</summary>
    /// <param name="position">The stage.</param>
    public long CollectTies(int position) => plan.Ties.Where(tie => tie.Mirrors.Contains(position)).Sum(tie => tie.Count * element);

    /// <summary>The forward and the backward of some micro-batches, as in training and in building the graphs of an estimate.</summary>
    /// <param name="position">The rank's place in its pipeline.</param>
    /// <param name="sizes">Samples in each micro-batch.</param>
    /// <param name="inProducts">Whether it is for products, which compute in the type of the parameters.</param>
    public long? Cuts(int position, IReadOnlyList<int> sizes, bool inProducts = false) => MemoryModel.Sum(plan.Layout.StagesOf(position).Select(stage =>
        SafeInteger.Add(Sum(stage, sizes, differentiableOnly: false, inProducts), Sum(stage - 1, sizes, differentiableOnly: true, inProducts))));

    /// <summary>One product with the whole model's Hessian, or with a stage's diagonal block, over some micro-batches.</summary>
    /// <param name="position">The rank's place in its pipeline: with one stage on each rank, its stage.</param>
    /// <param name="sizes">The micro-batches of the curvature batch.</param>
    /// <param name="firstStage">The stage whose block it is: those before it have nothing to do. 0 for the whole.</param>
    /// <param name="rebuildsGraphs">Whether forward and backward are run anew for it.</param>
    public long? Product(int position, IReadOnlyList<int> sizes, int firstStage = 0, bool rebuildsGraphs = false)
    {
        // A tied parameter of a later stage may act on an earlier one.
        int first = plan.Ties.Any(tie => tie.Mirrors.Count > 0) ? 0 : firstStage;
        long? sweeps = MemoryModel.Sum(plan.Layout.StagesOf(position).Where(stage => stage >= first).Select(stage => SafeInteger.Add(
            Sum(stage, sizes, differentiableOnly: true, inProducts: true), stage > first ? Sum(stage - 1, sizes, differentiableOnly: true, inProducts: true) : 0)));
        long? reduced = replicas == 1 || Admm is { Rule: AdmmRule.Consensus, LocalCurvature: true } ? 0
            : plan.IsSharded ? SafeInteger.Multiply(ShareBytes(position), 2L * (replicas - 1))
            : position >= first ? Reduction(position) : 0;
        long ties = SpreadTies(position, inProducts: true) + CollectTies(position);
        return SafeInteger.Add(SafeInteger.Add(sweeps, reduced), SafeInteger.Add(ties, rebuildsGraphs ? Cuts(position, sizes, inProducts: true) : 0));
    }

    /// <summary>What a worker hands to the rank that estimates for its stage: samples, and the first replica's parameters and buffers.</summary>
    /// <param name="position">The rank's place in its pipeline.</param>
    /// <param name="inputs">What the model takes; the first stage hands it over.</param>
    /// <param name="targets">What its loss takes; the last stage hands it over.</param>
    /// <param name="samples">The replica's samples.</param>
    /// <param name="withStage">Whether parameters and buffers go with them.</param>
    public long? Snapshot(
        int position, IReadOnlyList<InputDescription> inputs, IReadOnlyList<InputDescription> targets, int samples, bool withStage)
    {
        long? data = SafeInteger.Add(
            position == 0 ? MemoryModel.Sum(inputs.Select(input => SampleBytes(input, samples))) : 0,
            position == positions - 1 ? MemoryModel.Sum(targets.Select(target => SampleBytes(target, samples))) : 0);
        long? buffers = MemoryModel.Sum(plan.Layout.StagesOf(position).Select(stage =>
            plan.Stages[stage].Buffers?.Sum(buffer => buffer.Count * ElementTypes.SizeOf(buffer.DType))));
        return SafeInteger.Add(data, withStage ? SafeInteger.Add(ParameterBytes(position), buffers) : 0);
    }

    private long? Reduction(int position) => ParameterBytes(position) is { } bytes ? RingVolume.AllReduce(replicas, bytes) : null;

    private long? Round(int position)
    {
        if (Admm!.Rule == AdmmRule.Dual)
        {
            return RingVolume.Numbers(positions, 1);
        }

        long? buffers = MemoryModel.Sum(plan.Layout.StagesOf(position).Select(stage => plan.Stages[stage].Buffers is { } known
            ? known.Where(b => ElementTypes.IsFloating(b.DType)).Sum(b => RingVolume.AllReduce(replicas, b.Count * ElementTypes.SizeOf(b.DType)))
            : (long?)null));
        long numbers = RingVolume.Numbers(replicas, 2) + RingVolume.Numbers(positions, 2) + (Admm.LocalCurvature ? RingVolume.Numbers(replicas, 1) : 0);
        return SafeInteger.Add(SafeInteger.Add(Reduction(position), buffers), numbers);
    }

    private long? ParameterCount(int position) => MemoryModel.Sum(plan.Layout.StagesOf(position).Select(stage =>
        plan.Stages[stage].Parameters is { } parameters ? parameters.Sum(p => p.Count) : (long?)null));

    private long? ParameterBytes(int position) => SafeInteger.Multiply(ParameterCount(position), element);

    private long? ShareBytes(int position) =>
        ParameterCount(position) is { } count ? (count + replicas - 1) / replicas * element : null;

    /// <summary>What crosses a cut, in one direction, if its two stages are on different ranks.</summary>
    private long? Sum(int cut, IReadOnlyList<int> sizes, bool differentiableOnly, bool inProducts)
    {
        if (cut < 0 || cut >= plan.Cuts.Count || plan.RankOf(cut) == plan.RankOf(cut + 1))
        {
            return 0;
        }

        return MemoryModel.Sum(sizes.SelectMany(size => plan.Cuts[cut].Values
            .Where(value => value.Differentiable || !differentiableOnly)
            .Select(value => value.Type is { } type ? MemoryModel.Bytes(inProducts ? Unrounded(type) : type, size) : ScalarBytes(value.TypeName))));
    }

    private TensorType Unrounded(TensorType type) => type.DType == plan.Options.DType ? type with { DType = ElementTypes.MasterOf(type.DType) } : type;

    /// <summary>Samples of one input or target; of a target, whose sizes are seldom stated, one number each.</summary>
    private long? SampleBytes(InputDescription data, int samples)
    {
        if (data.Dimensions is not { } dimensions)
        {
            return null;
        }

        long elements = samples;
        foreach (DimensionDescription dimension in dimensions)
        {
            if (dimension.Symbol is not null)
            {
                return null;
            }

            elements *= dimension.Size;
        }

        return elements * (ElementTypes.IsFloating(data.DType) ? element : ElementTypes.SizeOf(data.DType));
    }

    private static long? ScalarBytes(string typeName) => typeName switch
    {
        "long" or "int" or "double" or "float" => sizeof(long),
        "bool" => sizeof(bool),
        _ => null,
    };
}
