using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.InteropServices;
using Dho2.Checkpoints;
using TorchSharp;
using TorchSharp.Modules;

namespace Dho2;

/// <summary>What a learning-rate schedule counts.</summary>
public enum ScheduleUnit
{
    /// <summary>It advances after every training step.</summary>
    Step,

    /// <summary>It advances after every epoch of <c>Fit</c>.</summary>
    Epoch,
}

/// <summary>
/// Lets one of TorchSharp's own schedules drive the base's rate: it is made for an optimizer that trains nothing, whose
/// rate is read after every advance. Every rank has its own, and all of them see the same losses.
/// </summary>
internal sealed class RateSchedule : IStateful, IDisposable
{
    private const string Name = "schedule.losses";

    private readonly Parameter parameter;
    private readonly Func<torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler> create;
    private readonly double rate;
    private readonly List<double> losses = [];
    private torch.optim.Optimizer optimizer;
    private torch.optim.lr_scheduler.LRScheduler scheduler;

    /// <summary>Makes the schedule.</summary>
    /// <param name="create">Makes TorchSharp's schedule for an optimizer; momentum that it changes has no effect here.</param>
    /// <param name="rate">The rate that it begins with (lr_0).</param>
    public RateSchedule(Func<torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler> create, double rate)
    {
        // No scope of the caller's may dispose it.
        using (DisposeScope scope = torch.NewDisposeScope())
        {
            parameter = new Parameter(torch.zeros(1));
            parameter.DetachFromDisposeScope();
        }

        this.create = create;
        this.rate = rate;
        optimizer = torch.optim.SGD([parameter], rate, momentum: 0.9);
        scheduler = create(optimizer);
    }

    /// <summary>The base's rate.</summary>
    public double Rate => optimizer.ParamGroups.First().LearningRate;

    /// <summary>Goes one unit on.</summary>
    /// <param name="loss">The unit's loss, for schedules that wait for a plateau; the others do not look at it.</param>
    public void Advance(double loss)
    {
        losses.Add(loss);
        scheduler.step(loss, null);
    }

    /// <summary>Another one at the same point, led through the same losses.</summary>
    public RateSchedule Copy()
    {
        var copy = new RateSchedule(create, rate);
        losses.ForEach(copy.Advance);
        return copy;
    }

    /// <inheritdoc/>
    public void Save(StateWriter state) => state.Numbers(Name, CollectionsMarshal.AsSpan(losses));

    /// <inheritdoc/>
    /// <remarks>TorchSharp's schedules do not show their state: a new one is led through the same losses.</remarks>
    public void Load(StateReader state)
    {
        optimizer.Dispose();
        losses.Clear();
        optimizer = torch.optim.SGD([parameter], rate, momentum: 0.9);
        scheduler = create(optimizer);
        if (state.HasNumbers(Name))
        {
            Array.ForEach(state.Numbers(Name), Advance);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        optimizer.Dispose();
        parameter.Dispose();
    }
}
