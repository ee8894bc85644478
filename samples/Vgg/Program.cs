using System;
using System.Diagnostics;
using System.IO;
using Dho2;
using Dho2.Data;
using Dho2.Samples;

namespace VggSample;

/// <summary>Trains <see cref="VggNet"/>, one module class for each of its three stages, on MNIST.</summary>
internal static class Program
{
    private static readonly SampleDefaults Defaults = new("Vgg", Epochs: 2, Batch: 128, DataFiles: "a folder of IDX files")
    {
        QuickSamples = 6_400,
        More = "--data may name another set in the same form, such as Fashion-MNIST.",
    };

    private static int Main(string[] arguments) => SampleProgram.Run(Defaults, arguments, Train);

    private static void Train(SampleOptions options, World world)
    {
        Stopwatch clock = Stopwatch.StartNew();
        string folder = options.Data ?? Path.Combine(AppContext.BaseDirectory, "mnist");
        using TensorDataset train = Mnist.LoadTraining(folder, Mnist.Mean, Mnist.Deviation).ToDataset(options.Samples);
        using TensorDataset test = Mnist.LoadTest(folder, Mnist.Mean, Mnist.Deviation).ToDataset(options.Samples);
        using Trainer trainer = VggNet.CreateTrainer(world, options.ToTrainingOptions());
        Evaluation result = SampleProgram.FitAndShow(options, trainer, world, train, test);
        SampleProgram.ShowResult(trainer, world, result, clock.Elapsed);
    }
}
