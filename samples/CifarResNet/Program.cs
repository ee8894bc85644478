using System;
using System.Collections.Generic;
using System.Diagnostics;
using Dho2;
using Dho2.Data;
using Dho2.Samples;

namespace CifarResNetSample;

/// <summary>Trains <see cref="ResNet20"/> on two stages, or <see cref="ResNet110"/> on four, on CIFAR-10.</summary>
internal static class Program
{
    private const string Model = "--model";

    private static readonly SampleDefaults Defaults = new("CifarResNet", Epochs: 3, Batch: 128, DataFiles: "the folder of CIFAR-10's binary files")
    {
        LearningRate = kind => kind == BaseKind.Adam ? 1e-3 : 0.1,
        NeedsData = true,
        QuickSamples = 1_280,
        Choices = new Dictionary<string, string[]> { [Model] = ["resnet20", "resnet110"] },
        More = "CIFAR-10 does not come with the sample: fetch and unpack https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz,\n" +
            "and name the folder of data_batch_1.bin and the other files with --data.",
    };

    private static int Main(string[] arguments) => SampleProgram.Run(Defaults, arguments, Train);

    private static void Train(SampleOptions options, World world)
    {
        Stopwatch clock = Stopwatch.StartNew();
        string folder = options.Data!;
        using TensorDataset train = Cifar10.LoadTraining(folder, normalize: true).ToDataset(options.Samples);
        using TensorDataset test = Cifar10.LoadTest(folder, normalize: true).ToDataset(options.Samples);
        using Trainer trainer = options.Choice(Model) == "resnet110"
            ? ResNet110.CreateTrainer(world, options.ToTrainingOptions())
            : ResNet20.CreateTrainer(world, options.ToTrainingOptions());
        Evaluation result = SampleProgram.FitAndShow(options, trainer, world, train, test);
        SampleProgram.ShowResult(trainer, world, result, clock.Elapsed);
    }
}
