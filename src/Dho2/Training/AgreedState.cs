using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Admm;
using Dho2.Checkpoints;
using Dho2.Communication;
using Dho2.Numerics;
using Dho2.Pipelines;
using TorchSharp;

namespace Dho2;

/// <summary>
/// What the replicas of a stage have agreed on, which is what is evaluated and saved: under consensus ADMM the consensus
/// variable with the running statistics of the last round; else the parameters, which are the same on all replicas, with
/// running statistics averaged now. Buffers that are not floating-point numbers are each replica's own.
/// </summary>
internal sealed class AgreedState : IDisposable
{
    private readonly FlatParameters flat;
    private readonly ICommunicator replicas;
    private readonly ConsensusUpdate? consensus;
    private readonly torch.Tensor[] buffers;
    private readonly torch.Tensor[]? rounds;

    /// <summary>Begins with the present state, which is the same on all replicas.</summary>
    /// <param name="flat">The stage's parameters and buffers; stays the caller's.</param>
    /// <param name="replicas">The replicas of the stage.</param>
    /// <param name="consensus">The consensus update; null where there is none.</param>
    public AgreedState(FlatParameters flat, ICommunicator replicas, ConsensusUpdate? consensus)
    {
        this.flat = flat;
        this.replicas = replicas;
        this.consensus = consensus;
        buffers = [.. flat.Buffers.Select(b => b.Buffer).Where(buffer => buffer.is_floating_point())];
        rounds = consensus is null ? null : [.. buffers.Select(Copy)];
    }

    /// <summary>Bytes of one buffer after the other, in the order in which they are averaged.</summary>
    public IEnumerable<long> BufferBytes => buffers.Select(buffer => buffer.numel() * buffer.element_size());

    /// <summary>The buffers of the last round, live; none where there are no rounds.</summary>
    public IReadOnlyList<torch.Tensor> RoundBuffers => rounds ?? [];

    /// <summary>Averages the running statistics at the end of a round, and remembers them.</summary>
    public void EndRound()
    {
        Average();
        for (int i = 0; i < buffers.Length; i++)
        {
            rounds?[i].copy_(buffers[i]);
        }
    }

    /// <summary>Puts the agreed state in place of this replica's own until the result is disposed. All replicas do so in step.</summary>
    public IDisposable Enter()
    {
        if (replicas.Size == 1)
        {
            return new Own([], []);
        }

        using IDisposable noGrad = torch.no_grad();
        torch.Tensor[] changed = consensus is null ? buffers : [flat.Values, .. buffers];
        var own = new Own(changed, [.. changed.Select(Copy)]);
        if (consensus is null)
        {
            Average();
        }
        else
        {
            flat.Values.copy_(consensus.Consensus);
            for (int i = 0; i < buffers.Length; i++)
            {
                buffers[i].copy_(rounds![i]);
            }
        }

        return own;
    }

    /// <summary>
    /// The buffers of the agreed state, in the order of the stage's; copies where they are averages made for it, which
    /// belong to the caller's scope. All replicas call it in step.
    /// </summary>
    public IReadOnlyList<(string Name, torch.Tensor Buffer)> Buffers()
    {
        using IDisposable noGrad = torch.no_grad();
        int next = 0;
        var agreed = new List<(string, torch.Tensor)>();
        foreach ((string name, torch.Tensor buffer) in flat.Buffers)
        {
            if (!buffer.is_floating_point() || replicas.Size == 1)
            {
                agreed.Add((name, buffer));
                continue;
            }

            torch.Tensor value = rounds?[next] ?? buffer.clone();
            next++;
            if (rounds is null)
            {
                replicas.AllReduce(value);
                value.DivideBy(replicas.Size);
            }

            agreed.Add((name, value));
        }

        return agreed;
    }

    /// <summary>Takes the buffers of the last round from a checkpoint's weights.</summary>
    public void Load(StateReader state)
    {
        int next = 0;
        foreach ((string name, _) in flat.Buffers.Where(b => rounds is not null && b.Buffer.is_floating_point()))
        {
            state.Weight(name, rounds![next++]);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => Array.ForEach(rounds ?? [], buffer => buffer.Dispose());

    private static torch.Tensor Copy(torch.Tensor tensor) => tensor.detach().clone().DetachFromDisposeScope();

    private void Average()
    {
        foreach (torch.Tensor buffer in buffers)
        {
            replicas.AllReduce(buffer);
            buffer.DivideBy(replicas.Size);
        }
    }

    private sealed class Own(torch.Tensor[] changed, torch.Tensor[] values) : IDisposable
    {
        public void Dispose()
        {
            using IDisposable noGrad = torch.no_grad();
            for (int i = 0; i < changed.Length; i++)
            {
                changed[i].copy_(values[i]);
                values[i].Dispose();
            }
        }
    }
}
