using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Curvature;
using Dho2.Pipelines;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Checkpoints;

/// <summary>
/// Takes the state of one rank, component by component. What belongs to parameters is stored parameter by parameter, by the
/// names of the unsplit model, so that any other partition finds its part.
/// </summary>
public sealed class StateWriter
{
    private readonly IReadOnlyList<FlatSegment> parameters;
    private readonly int stage;
    private readonly int replica;
    private readonly List<Item> items = [];

    /// <summary>Creates a writer for a rank.</summary>
    /// <param name="parameters">The rank's parameters, in the order of its flat vectors.</param>
    /// <param name="stage">The rank's stage.</param>
    /// <param name="replica">The rank's replica.</param>
    public StateWriter(IReadOnlyList<FlatSegment> parameters, int stage, int replica)
    {
        this.parameters = parameters;
        this.stage = stage;
        this.replica = replica;
    }

    /// <summary>Takes a vector with one element, or one row of elements, for each of the rank's parameters' elements.</summary>
    /// <param name="name">A name that is unique over all components, such as <c>optimizer.momentum</c>.</param>
    /// <param name="vector">Shape (n_s), or (rows, n_s); without gaps.</param>
    /// <param name="scope">Of what there is one.</param>
    /// <param name="segments">Which parts of which parameters the vector holds; null for the rank's whole parameters.</param>
    public void Vector(string name, Tensor vector, StateScope scope = StateScope.Run, IReadOnlyList<ParameterSegment>? segments = null)
    {
        // What all replicas have alike, the first writes; shares of it, each its own.
        if (scope.HasFlag(StateScope.PerReplica) || replica == 0 || segments is not null)
        {
            items.Add(new Item(name, vector, ReplicaOf(scope), segments ?? Whole()));
        }
    }

    /// <summary>Takes the model's own parameters, by their names alone.</summary>
    /// <param name="values">Shape (n_s).</param>
    internal void Weights(Tensor values) => Vector("", values);

    /// <summary>Takes float64 numbers.</summary>
    /// <param name="name">A name that is unique over all components.</param>
    /// <param name="values">The numbers; copied.</param>
    /// <param name="scope">Of what there is one.</param>
    public void Numbers(string name, ReadOnlySpan<double> values, StateScope scope = StateScope.Run)
    {
        if ((scope.HasFlag(StateScope.PerReplica) || replica == 0) && (scope.HasFlag(StateScope.PerStage) || stage == 0))
        {
            double[] copy = values.ToArray();
            items.Add(new Item(name, null, ReplicaOf(scope), null) { Numbers = copy, Stage = StageOf(scope) });
        }
    }

    /// <summary>Takes a number.</summary>
    /// <param name="name">A name that is unique over all components.</param>
    /// <param name="value">The number.</param>
    /// <param name="scope">Of what there is one.</param>
    public void Number(string name, double value, StateScope scope = StateScope.Run) => Numbers(name, [value], scope);

    /// <summary>Takes a tensor that has nothing to do with parameters, such as the state of a random generator.</summary>
    /// <param name="name">A name that is unique over all components.</param>
    /// <param name="tensor">The tensor.</param>
    /// <param name="scope">Of what there is one.</param>
    public void Tensor(string name, Tensor tensor, StateScope scope = StateScope.Run) =>
        items.Add(new Item(name, tensor, ReplicaOf(scope), null) { Stage = StageOf(scope) });

    /// <summary>Copies all tensors to host memory, so that training may go on while they are written.</summary>
    /// <param name="copies">Where the copies are kept from one checkpoint to the next, by name.</param>
    /// <param name="prefix">Tells this writer's names from those of others.</param>
    internal void Detach(Dictionary<string, Tensor> copies, string prefix)
    {
        using IDisposable noGrad = no_grad();
        foreach (Item item in items.Where(item => item.Source is not null))
        {
            string key = prefix + item.Key;
            if (copies.TryGetValue(key, out Tensor? copy) && copy.dtype == item.Source!.dtype && copy.shape.SequenceEqual(item.Source.shape))
            {
                copy.copy_(item.Source);
            }
            else
            {
                copy?.Dispose();
                copies[key] = TensorMemory.HostCopy(item.Source!);
            }

            item.Source = copies[key];
        }
    }

    /// <summary>The tensors of the rank's file of state.</summary>
    internal IReadOnlyList<TensorToWrite> ToTensors() => [.. items.SelectMany(ToTensors)];

    private IEnumerable<TensorToWrite> ToTensors(Item item)
    {
        if (item.Numbers is { } numbers)
        {
            return [new(item.Key.ToString(), SafetensorsType.Float64, [numbers.Length], sink => sink.Write(System.Runtime.InteropServices.MemoryMarshal.AsBytes(numbers.AsSpan())))];
        }

        Tensor source = item.Source!;
        SafetensorsType type = TensorMemory.TypeOf(source.dtype);
        return item.Segments is not { } segments
            ? [new(item.Key.ToString(), type, [.. source.shape], sink => TensorMemory.Write(item.Source!, sink))]
            : segments.Where(segment => segment.Length > 0).Select(segment =>
            {
                FlatSegment parameter = parameters.First(p => p.Name == segment.Name);
                bool whole = segment.Start == 0 && segment.Length == parameter.Length;
                long[] rows = source.dim() == 2 ? [source.size(0)] : [];
                StateKey key = item.Key with
                {
                    Path = item.Name.Length == 0 ? segment.Name : $"{item.Name}/{segment.Name}",
                    Start = whole ? null : segment.Start,
                    End = whole ? null : segment.Start + segment.Length,
                };
                return new TensorToWrite(key.ToString(), type, [.. rows, .. whole ? parameter.Shape : [segment.Length]], sink =>
                {
                    using Tensor matrix = item.Source!.view(rows.Length == 0 ? 1 : rows[0], -1);
                    TensorMemory.WriteColumns(matrix, segment.Offset, segment.Length, sink);
                });
            });
    }

    private IReadOnlyList<ParameterSegment> Whole() => [.. parameters.Select(p => new ParameterSegment(p.Name, p.Offset, p.Length))];

    private int? ReplicaOf(StateScope scope) => scope.HasFlag(StateScope.PerReplica) ? replica : null;

    private int? StageOf(StateScope scope) => scope.HasFlag(StateScope.PerStage) ? stage : null;

    private sealed record Item(string Name, Tensor? Source, int? Replica, IReadOnlyList<ParameterSegment>? Segments)
    {
        public Tensor? Source { get; set; } = Source;

        public double[]? Numbers { get; init; }

        public int? Stage { get; init; }

        public StateKey Key => new(Name, Stage, Replica);
    }
}
