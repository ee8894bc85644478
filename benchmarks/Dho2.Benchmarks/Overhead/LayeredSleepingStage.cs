using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Threading;
using Dho2.Pipelines;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Benchmarks.Overhead;

/// <summary>Milliseconds that a stage of equal layers takes for a micro-batch.</summary>
/// <param name="Forward">Its forward.</param>
/// <param name="Input">The gradients of its inputs, all the way down.</param>
/// <param name="Weight">The gradients of its weights alone.</param>
/// <param name="Layers">
/// Layers: a second walk, which wants the weights' gradients only, computes the inputs' of all of them but the first once more.
/// </param>
internal sealed record SleepingTimes(double Forward, double Input, double Weight, int Layers)
{
    /// <summary>The part of <see cref="Input"/> that both walks of a split backward take.</summary>
    public double Shared => Input * (Layers - 1) / Layers;
}

/// <summary>
/// A stage that sleeps in place of computing, and counts for how long: in its forward, and in as many parts of its backward as
/// autograd walks through. The first stage, which has no gradients of inputs, does their work with its weights'.
/// </summary>
internal sealed class LayeredSleepingStage : IPipelineStage
{
    private readonly SleepingTimes times;
    private readonly Sleeper sleeper = new();
    private int inFlight;

    public LayeredSleepingStage(int index, SleepingTimes times)
    {
        Index = index;
        this.times = times;
        Layers = [new StageLayer($"sleep{index}", sleeper)];
    }

    public int Index { get; }

    public IReadOnlyList<StageLayer> Layers { get; }

    /// <summary>How long it has slept.</summary>
    public TimeSpan Asleep { get; set; }

    /// <summary>The most micro-batches that were between their first forward and the end of their backward.</summary>
    public int MostInFlight { get; private set; }

    /// <summary>The most of them that had a graph.</summary>
    public int MostGraphs { get; private set; }

    private int Graphs { get; set; }

    public Tensor[] Forward(IReadOnlyList<Tensor> inputs)
    {
        Sleep(times.Forward);
        if (!is_grad_enabled() || !IsRecomputed)
        {
            inFlight++;
            MostInFlight = Math.Max(MostInFlight, inFlight);
        }

        if (is_grad_enabled())
        {
            MostGraphs = Math.Max(MostGraphs, ++Graphs);
        }

        double own = times.Input - times.Shared;
        Tensor input = Index == 0 ? inputs[0] : SleepsInBackward.apply(inputs[0], new Nap(this, own));
        Tensor weight = SleepsInBackward.apply(sleeper.Weight, new Nap(this, times.Weight + (Index == 0 ? own : 0)));
        return [SleepsInBackward.apply(input * weight, new Nap(this, times.Shared))];
    }

    /// <summary>Whether every forward with a graph is a second one.</summary>
    public bool IsRecomputed { get; init; }

    /// <summary>To be called when a backward has ended.</summary>
    public void EndBackward()
    {
        inFlight--;
        Graphs--;
    }

    public void Dispose() => sleeper.Dispose();

    private void Sleep(double milliseconds)
    {
        if (milliseconds > 0)
        {
            long start = Stopwatch.GetTimestamp();
            Thread.Sleep(TimeSpan.FromMilliseconds(milliseconds));
            Asleep += Stopwatch.GetElapsedTime(start);
        }
    }

    private sealed record Nap(LayeredSleepingStage Stage, double Milliseconds);

    private sealed class Sleeper : nn.Module<Tensor, Tensor>
    {
        public Sleeper()
            : base(nameof(Sleeper))
        {
            Weight = new TorchSharp.Modules.Parameter(ones(1));
            register_parameter("weight", Weight);
        }

        public TorchSharp.Modules.Parameter Weight { get; }

        public override Tensor forward(Tensor input) => input * Weight;
    }

    private sealed class SleepsInBackward : autograd.SingleTensorFunction<SleepsInBackward>
    {
        public override string Name => "SleepsInPartOfBackward";

        public override Tensor forward(autograd.AutogradContext context, params object[] inputs)
        {
            context.save_data("sleep", inputs[1]);
            return ((Tensor)inputs[0]).clone();
        }

        public override List<Tensor> backward(autograd.AutogradContext context, Tensor gradient)
        {
            var nap = (Nap)context.get_data("sleep")!;
            nap.Stage.Sleep(nap.Milliseconds);
            return [gradient.clone(), null!];
        }
    }
}
