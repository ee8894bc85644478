using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.InteropServices;
using Dho2.Curvature;
using Dho2.Pipelines;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Checkpoints;

/// <summary>
/// Gives one rank its part of a checkpoint, whatever partition and number of replicas wrote it: parameters by name,
/// ranges of elements straight into the rank's memory.
/// </summary>
public sealed class StateReader
{
    private readonly StateIndex index;
    private readonly IReadOnlyList<FlatSegment> parameters;
    private readonly int stage;
    private readonly int replica;
    private readonly int replicas;

    internal StateReader(StateIndex index, IReadOnlyList<FlatSegment> parameters, int stage, int replica, int replicas)
    {
        this.index = index;
        this.parameters = parameters;
        this.stage = stage;
        this.replica = replica;
        this.replicas = replicas;
    }

    /// <summary>What the checkpoint says about itself.</summary>
    public CheckpointManifest Manifest => index.Folder.Manifest;

    /// <summary>Whether the checkpoint has as many replicas as the run.</summary>
    public bool SameReplicas => Manifest.Plan.Replicas == replicas;

    /// <summary>Whether the checkpoint has a vector of this name for every one of the rank's parameters.</summary>
    /// <param name="name">The component's name for it.</param>
    public bool HasVector(string name) => parameters.All(p => index.Find($"{name}/{p.Name}").Count > 0);

    /// <summary>Whether the checkpoint has numbers of this name.</summary>
    /// <param name="name">The component's name for them.</param>
    public bool HasNumbers(string name) => index.Find(name).Count > 0;

    /// <summary>The rows of a vector, from any of its pieces of one of the rank's parameters; 0 if there is none.</summary>
    /// <param name="name">The component's name for it.</param>
    public long RowsOf(string name) => parameters
        .Where(p => p.Length > 0)
        .SelectMany(p => index.Find($"{name}/{p.Name}").Select(piece =>
            piece.Entry.Count / ((piece.Key.End ?? p.Length) - (piece.Key.Start ?? 0))))
        .FirstOrDefault();

    /// <summary>The element type of a vector as it is stored; null if the rank has no piece of it.</summary>
    /// <param name="name">The component's name for it.</param>
    public ScalarType? TypeOf(string name) =>
        parameters.SelectMany(p => index.Find($"{name}/{p.Name}")).FirstOrDefault() is { } piece ? TensorMemory.TypeOf(piece.Entry.Type) : null;

    /// <summary>Reads the rank's part of a vector.</summary>
    /// <param name="name">The name it was written with.</param>
    /// <param name="into">Overwritten; shape (n_s), or (rows, n_s); without gaps.</param>
    /// <param name="scope">Of what there is one in this run: it may have been another when it was written.</param>
    /// <param name="segments">Which parts of which parameters the vector holds; null for the rank's whole parameters.</param>
    /// <exception cref="CheckpointException">A part of it is missing, or has another number of rows.</exception>
    public void Vector(string name, Tensor into, StateScope scope = StateScope.Run, IReadOnlyList<ParameterSegment>? segments = null)
    {
        using IDisposable noGrad = no_grad();
        long rows = into.dim() == 2 ? into.size(0) : 1;
        foreach (ParameterSegment segment in segments ?? [.. parameters.Select(p => new ParameterSegment(p.Name, p.Offset, p.Length))])
        {
            FlatSegment parameter = parameters.First(p => p.Name == segment.Name);
            string path = $"{name}/{segment.Name}";
            IReadOnlyList<Piece> pieces = index.Find(path);
            IReadOnlyList<(int? Replica, double Weight)> sources = SourcesOf(pieces, scope, path);
            foreach ((int? source, double weight) in sources)
            {
                bool first = source == sources[0].Replica;
                bool mixes = sources.Count > 1;
                if (mixes && first)
                {
                    using Tensor part = into.view(rows, -1).narrow(1, segment.Offset, segment.Length);
                    part.zero_();
                }

                ReadSegment([.. pieces.Where(p => p.Key.Replica == source)], path, parameter, segment, into, rows, mixes ? weight : null);
            }
        }
    }

    /// <summary>Reads a vector that a run with the same settings may not have: false, and nothing changed, if it is not there.</summary>
    /// <param name="name">The name it was written with.</param>
    /// <param name="into">Overwritten; shape (n_s), or (rows, n_s); without gaps.</param>
    /// <param name="scope">Of what there is one in this run.</param>
    public bool TryVector(string name, Tensor into, StateScope scope = StateScope.Run)
    {
        bool has = HasVector(name);
        if (has)
        {
            Vector(name, into, scope);
        }

        return has;
    }

    /// <summary>Reads float64 numbers.</summary>
    /// <param name="name">The name they were written with.</param>
    /// <param name="scope">Of what there is one in this run.</param>
    /// <exception cref="CheckpointException">They are missing.</exception>
    public double[] Numbers(string name, StateScope scope = StateScope.Run)
    {
        IReadOnlyList<Piece> pieces = index.Find(name);
        int? wanted = scope.HasFlag(StateScope.PerStage) && pieces.Any(p => p.Key.Stage == stage) ? stage : null;

        // Numbers of every stage, read by a run that has one for all: they were the same then, or mean nothing to it.
        Piece[] ofStage = [.. pieces.Where(p => p.Key.Stage == wanted)];
        ofStage = ofStage.Length > 0 ? ofStage : [.. pieces.Where(p => p.Key.Stage == pieces[0].Key.Stage)];
        double[]? sum = null;
        foreach ((int? source, double weight) in SourcesOf(ofStage, scope, name))
        {
            double[] values = Read(Of(ofStage, source, name));
            if (sum is not null && sum.Length != values.Length)
            {
                throw new CheckpointException(index.Folder.Path, $"'{name}' is {sum.Length} numbers of one replica and {values.Length} of another.");
            }

            // One replica's numbers are taken as they are, a negative zero included.
            if (sum is null)
            {
                sum = weight == 1 ? values : [.. values.Select(value => weight * value)];
                continue;
            }

            for (int i = 0; i < values.Length; i++)
            {
                sum[i] += weight * values[i];
            }
        }

        return sum!;
    }

    /// <summary>Reads a number.</summary>
    /// <param name="name">The name it was written with.</param>
    /// <param name="scope">Of what there is one in this run.</param>
    /// <exception cref="CheckpointException">It is missing, or not one number.</exception>
    public double Number(string name, StateScope scope = StateScope.Run) => Numbers(name, scope) is [double value]
        ? value
        : throw new CheckpointException(index.Folder.Path, $"'{name}' is not one number.");

    /// <summary>Reads a tensor that has nothing to do with parameters, of this very rank; null if it is not there.</summary>
    /// <param name="name">The name it was written with.</param>
    /// <param name="scope">Of what there is one.</param>
    /// <returns>A new tensor in host memory.</returns>
    public Tensor? FindTensor(string name, StateScope scope = StateScope.Run)
    {
        var key = new StateKey(name, scope.HasFlag(StateScope.PerStage) ? stage : null, scope.HasFlag(StateScope.PerReplica) ? replica : null);
        if (index.Find(name).FirstOrDefault(piece => piece.Key == key) is not { } found)
        {
            return null;
        }

        ScalarType type = TensorMemory.TypeOf(found.Entry.Type)
            ?? throw new CheckpointException(found.File.Path, $"'{found.Entry.Name}' is {found.Entry.Type.Name()}, which has no counterpart in TorchSharp.");
        Tensor tensor = empty([.. found.Entry.Shape], type);
        using Tensor flat = tensor.view(-1);
        TensorMemory.Read(found.File, found.Entry, 0, flat, 0, flat.NumberOfElements);
        return tensor;
    }

    /// <summary>Reads the rank's parameters from the model's weights.</summary>
    /// <param name="into">The flat vector, shape (n_s).</param>
    /// <exception cref="CheckpointException">A parameter is missing or has another shape.</exception>
    public void Weights(Tensor into)
    {
        using IDisposable noGrad = no_grad();
        foreach (FlatSegment parameter in parameters)
        {
            Piece piece = WeightOf(parameter.Name, parameter.Shape);
            TensorMemory.Read(piece.File, piece.Entry, 0, into, parameter.Offset, parameter.Length);
        }
    }

    /// <summary>Reads a parameter or buffer of the model from its weights.</summary>
    /// <param name="name">Its name in the unsplit model.</param>
    /// <param name="into">Overwritten; without gaps.</param>
    /// <exception cref="CheckpointException">It is missing or has another shape.</exception>
    public void Weight(string name, Tensor into)
    {
        Piece piece = WeightOf(name, into.shape);
        using Tensor flat = into.view(-1);
        TensorMemory.Read(piece.File, piece.Entry, 0, flat, 0, flat.NumberOfElements);
    }

    /// <summary>Reads a buffer of the model: this replica's, else the mean of those whose share it takes over, else the model's.</summary>
    /// <param name="name">The buffer's name in the unsplit model.</param>
    /// <param name="buffer">Overwritten.</param>
    /// <exception cref="CheckpointException">It is missing or has another shape.</exception>
    public void Buffer(string name, Tensor buffer)
    {
        using IDisposable noGrad = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Tensor values = buffer.is_contiguous() ? buffer : buffer.contiguous();
        Tensor flat = values.view(-1);
        string path = StatePaths.Buffer(name);
        IReadOnlyList<Piece> pieces = index.Find(path);
        Piece model = WeightOf(name, buffer.shape);
        IReadOnlyList<(int? Replica, double Weight)> sources = pieces.Count == 0 ? [] : SourcesOf(pieces, StateScope.PerReplica, path);
        if (sources.Count > 1 && buffer.is_floating_point())
        {
            flat.zero_();
            foreach ((int? source, double weight) in sources)
            {
                Piece piece = Of(pieces, source, path);
                TensorMemory.Read(piece.File, piece.Entry, 0, flat, 0, flat.NumberOfElements, weight);
            }
        }
        else
        {
            Piece piece = sources.Count == 0 ? model : Of(pieces, sources[0].Replica, path);
            TensorMemory.Read(piece.File, piece.Entry, 0, flat, 0, flat.NumberOfElements);
        }

        if (!ReferenceEquals(values, buffer))
        {
            buffer.copy_(values);
        }
    }

    private static double[] Read(Piece piece)
    {
        if (piece.Entry.Type != SafetensorsType.Float64)
        {
            throw new CheckpointException(piece.File.Path, $"'{piece.Entry.Name}' is {piece.Entry.Type.Name()}; numbers are F64.");
        }

        double[] values = new double[piece.Entry.Count];
        piece.File.Read(piece.Entry, 0, MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }

    private Piece Of(IReadOnlyList<Piece> pieces, int? replica, string path) => pieces.FirstOrDefault(p => p.Key.Replica == replica)
        ?? throw new CheckpointException(index.Folder.Path, $"it has no '{path}' of replica {replica}.");

    private Piece WeightOf(string name, IReadOnlyList<long> shape)
    {
        Piece piece = index.FindWeight(name) ?? throw new CheckpointException(index.Folder.Path, $"the model's '{name}' is in none of its files.");
        return piece.Entry.Shape.SequenceEqual(shape)
            ? piece
            : throw new CheckpointException(piece.File.Path, $"'{name}' is of shape ({string.Join(", ", piece.Entry.Shape)}), the model's of shape ({string.Join(", ", shape)}).");
    }

    // Whose values this rank takes, and with which weights. Replica r of R stands for the share [r/R, (r+1)/R) of every
    // batch: a replica of another run takes the mean over those whose shares overlap its own, which keeps every sum over
    // the replicas that is 0, and every fixed point of consensus.
    private IReadOnlyList<(int? Replica, double Weight)> SourcesOf(IReadOnlyList<Piece> pieces, StateScope scope, string path)
    {
        if (pieces.Count == 0)
        {
            throw new CheckpointException(index.Folder.Path, $"it has no '{path}', which this run needs.");
        }

        if (pieces.Any(p => p.Key.Replica is null))
        {
            return [(null, 1)];
        }

        int saved = Manifest.Plan.Replicas;
        (int first, int of) = scope.HasFlag(StateScope.PerReplica) ? (replica, replicas) : (0, 1);
        if (saved == of)
        {
            return [(first, 1)];
        }

        var sources = new List<(int?, double)>();
        for (int r = 0; r < saved; r++)
        {
            // In units of 1 / (saved * of).
            long overlap = Math.Min((r + 1L) * of, (first + 1L) * saved) - Math.Max((long)r * of, (long)first * saved);
            if (overlap > 0)
            {
                sources.Add((r, (double)overlap / saved));
            }
        }

        return sources;
    }

    private void ReadSegment(
        Piece[] pieces, string path, FlatSegment parameter, ParameterSegment segment, Tensor into, long rows, double? weight)
    {
        using Tensor flat = into.view(-1);
        long width = into.size(-1);
        long end = segment.Start + segment.Length;
        long position = segment.Start;
        foreach (Piece piece in pieces.OrderBy(p => p.Key.Start ?? 0))
        {
            long start = piece.Key.Start ?? 0;
            long length = (piece.Key.End ?? parameter.Length) - start;
            if (length <= 0 || piece.Entry.Count != rows * length)
            {
                throw new CheckpointException(
                    piece.File.Path, $"'{piece.Entry.Name}' has {piece.Entry.Count} elements; {rows} rows of {length} are expected.");
            }

            long from = Math.Max(position, start);
            long count = Math.Min(end, start + length) - from;
            if (from != position || count <= 0)
            {
                continue;
            }

            for (long row = 0; row < rows; row++)
            {
                TensorMemory.Read(
                    piece.File, piece.Entry, (row * length) + from - start, flat, (row * width) + segment.Offset + from - segment.Start, count, weight);
            }

            position += count;
        }

        if (position != end)
        {
            throw new CheckpointException(index.Folder.Path, $"of '{path}' the elements from {position} to {end} are in none of its files.");
        }
    }
}
