using System;
using Dho2.Benchmarks.Data;
using Dho2.Pipelines;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Benchmarks.Experiments;

/// <summary>A model with its data, and the budget of a run.</summary>
internal sealed class TrainingTask : IDisposable
{
    private readonly Tensor trainInputs;
    private readonly Tensor trainTargets;
    private readonly Tensor testInputs;
    private readonly Tensor testTargets;

    public TrainingTask(string name, PipelineDefinition model, int batch, int steps, (Tensor, Tensor) train, (Tensor, Tensor) test)
    {
        Name = name;
        Model = model;
        Batch = batch;
        Steps = steps;
        (trainInputs, trainTargets) = train;
        (testInputs, testTargets) = test;
        HasAccuracy = trainTargets.dim() == 1;
    }

    /// <summary>The task's name in the report.</summary>
    public string Name { get; }

    /// <summary>The model, on one stage.</summary>
    public PipelineDefinition Model { get; }

    /// <summary>Samples per step.</summary>
    public int Batch { get; }

    /// <summary>Steps of a run: the budget.</summary>
    public int Steps { get; }

    /// <summary>Whether the targets are class labels.</summary>
    public bool HasAccuracy { get; }

    /// <summary>Whether heavy-ball's rates are tried around 1 instead of around 0.05.</summary>
    public bool LargeRates { get; init; }

    /// <summary>Training samples on which the loss is followed.</summary>
    public int Followed { get; init; } = 1_000;

    /// <summary>The residual at which eigenpairs count as converged.</summary>
    public double Tolerance { get; init; } = 1e-5;

    /// <summary>Training samples.</summary>
    public int Samples => (int)trainInputs.shape[0];

    /// <summary>The CIFAR-10 network on the first 20,000 training and 4,000 test images.</summary>
    public static TrainingTask Cifar(string folder, bool quick) =>
        new("cifar-cnn", CifarCnn.Pipeline, 128, quick ? 60 : 300, Cifar10.Load(folder, true, quick ? 2_000 : 20_000), Cifar10.Load(folder, false, quick ? 500 : 4_000))
        {
            // At 1e-5 an estimate takes 150 products of 0.1 s here, four times as many: that is a setting of its own.
            Tolerance = 1e-3,
        };

    /// <summary>The MNIST autoencoder on the first 20,000 training and 4,000 test images.</summary>
    public static TrainingTask Autoencoder(string folder, bool quick)
    {
        (Tensor, Tensor) Pixels(bool train, int count)
        {
            using Tensor images = MnistImages.Load(folder, train, count);
            Tensor flat = images.flatten(1).clone();

            // Inputs of mean 0 and deviation 1: with those between 0 and 1 the network rests for most of so short a
            // budget where it returns the mean image, and when it leaves that is a matter of luck.
            return (MnistImages.Standardise(flat), flat);
        }

        return new("mnist-autoencoder", MnistAutoencoder.Pipeline, 128, quick ? 60 : 400, Pixels(true, quick ? 2_000 : 20_000), Pixels(false, quick ? 500 : 4_000))
        {
            LargeRates = true,
        };
    }

    /// <summary>A batch of training samples; the caller disposes both.</summary>
    public (Tensor Inputs, Tensor Targets) Take(Tensor indices) => (trainInputs.index_select(0, indices), trainTargets.index_select(0, indices));

    /// <summary>The first training samples, on which the loss is followed; the caller disposes both.</summary>
    public (Tensor Inputs, Tensor Targets) EvaluationSamples()
    {
        int count = Math.Min(Followed, Samples);
        return (trainInputs.narrow(0, 0, count), trainTargets.narrow(0, 0, count));
    }

    /// <summary>The test samples; the caller disposes both.</summary>
    public (Tensor Inputs, Tensor Targets) TestSamples() => (testInputs.alias(), testTargets.alias());

    public void Dispose()
    {
        trainInputs.Dispose();
        trainTargets.Dispose();
        testInputs.Dispose();
        testTargets.Dispose();
    }
}
