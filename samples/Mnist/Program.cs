using System;
using System.Diagnostics;
using System.IO;
using Dho2;
using Dho2.Data;
using Dho2.Samples;

namespace MnistSample;

/// <summary>Trains <see cref="MnistNet"/>, split over two stages, on MNIST.</summary>
internal static class Program
{
    private static readonly SampleDefaults Defaults = new("Mnist", Epochs: 3, Batch: 256, DataFiles: "a folder of IDX files")
    {
        More = "Alone, all ranks are threads of one process; mpirun -n 4 Mnist runs two stages in two replicas, each rank a process.",
    };

    private static int Main(string[] arguments) => SampleProgram.Run(Defaults, arguments, Train);

    private static void Train(SampleOptions options, World world)
    {
        Stopwatch clock = Stopwatch.StartNew();
        string folder = options.Data ?? Path.Combine(AppContext.BaseDirectory, "mnist");
        using TensorDataset train = Mnist.LoadTraining(folder, Mnist.Mean, Mnist.Deviation).ToDataset(options.Samples);
        using TensorDataset test = Mnist.LoadTest(folder, Mnist.Mean, Mnist.Deviation).ToDataset(options.Samples);
        using Trainer trainer = MnistNet.CreateTrainer(world, options.ToTrainingOptions());
        Evaluation result = SampleProgram.FitAndShow(options, trainer, world, train, test);
        SampleProgram.ShowResult(trainer, world, result, clock.Elapsed);
    }
}
