using System;
using System.Collections.Generic;
using System.IO;
using CharGptSample;
using Dho2.Benchmarks.Data;
using Dho2.Benchmarks.Experiments;
using Dho2.Data;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Benchmarks.TimeToLoss;

/// <summary>The benchmark's tasks, cheapest first.</summary>
internal static class Tasks
{
    private const int TestShare = 10;
    private const int Stride = 8;

    /// <summary>Their names.</summary>
    public static IReadOnlyList<string> Names { get; } = ["mnist-logistic", "mnist-autoencoder", "cifar-cnn", "char-lstm"];

    /// <summary>Loads a task.</summary>
    /// <exception cref="ArgumentException">There is none of that name.</exception>
    public static TrainingTask Load(string name, TimeToLossOptions options) => name switch
    {
        "mnist-logistic" => Logistic(options.MnistFolder, options.Quick),
        "mnist-autoencoder" => TrainingTask.Autoencoder(options.MnistFolder, options.Quick),
        "cifar-cnn" => TrainingTask.Cifar(options.CifarFolder, options.Quick),
        "char-lstm" => Lstm(options.TextFile, options.Quick),
        _ => throw new ArgumentException($"There is no task '{name}'; there are {string.Join(", ", Names)}."),
    };

    private static TrainingTask Logistic(string folder, bool quick)
    {
        (Tensor, Tensor) Samples(bool train, int count)
        {
            using LabelledImages all = train ? Mnist.LoadTraining(folder) : Mnist.LoadTest(folder);
            using DisposeScope scope = NewDisposeScope();
            Tensor images = MnistImages.Standardise(all.Images.narrow(0, 0, count).flatten(1));
            return (images.MoveToOuterDisposeScope(), all.Labels.narrow(0, 0, count).clone().MoveToOuterDisposeScope());
        }

        return new("mnist-logistic", LogisticRegression.Pipeline, 128, quick ? 60 : 600, Samples(true, quick ? 2_000 : 20_000), Samples(false, quick ? 500 : 4_000));
    }

    private static TrainingTask Lstm(string file, bool quick)
    {
        long[] text = Characters.Encode(File.ReadAllText(file), file);
        int test = text.Length / TestShare;
        return new(
            "char-lstm", CharLstm.Pipeline, 32, quick ? 30 : 160, Windows(text.AsSpan(0, text.Length - test), Stride), Windows(text.AsSpan(text.Length - test), CharLstm.Context))
        {
            LargeRates = true,
            Followed = 250,
        };
    }

    private static (Tensor, Tensor) Windows(ReadOnlySpan<long> text, int stride)
    {
        int count = ((text.Length - CharLstm.Context - 1) / stride) + 1;
        long[] inputs = new long[count * CharLstm.Context], targets = new long[count * CharLstm.Context];

        // Windows in an order of their own, so that those on which the loss is followed are of the whole text.
        int[] order = new int[count];
        for (int i = 0; i < count; i++)
        {
            order[i] = i;
        }

        new Random(1).Shuffle(order);
        for (int i = 0; i < count; i++)
        {
            text.Slice(order[i] * stride, CharLstm.Context).CopyTo(inputs.AsSpan(i * CharLstm.Context));
            text.Slice((order[i] * stride) + 1, CharLstm.Context).CopyTo(targets.AsSpan(i * CharLstm.Context));
        }

        return (tensor(inputs, [count, CharLstm.Context]), tensor(targets, [count, CharLstm.Context]));
    }
}
