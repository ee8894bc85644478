using System;
using System.Diagnostics;
using System.IO;
using Dho2;
using Dho2.Checkpoints;
using Dho2.Communication;
using Dho2.Curvature;
using Dho2.Data;
using Dho2.Pipelines;
using Dho2.Planning;
using Spectre.Console;

namespace MnistSample;

/// <summary>Trains <see cref="MnistNet"/>, split over two stages, on MNIST.</summary>
internal static class Program
{
    private const int Succeeded = 0;
    private const int Failed = 1;
    private const int Misused = 2;

    // As shells report a program that was ended by Ctrl+C.
    private const int Interrupted = 130;

    private static int Main(string[] arguments)
    {
        Options options;
        try
        {
            options = Options.Parse(arguments);
        }
        catch (FormatException error)
        {
            return End(Misused, error.Message, Options.Usage);
        }

        if (options.Help)
        {
            Console.WriteLine(Options.Usage);
            return Succeeded;
        }

        World world;
        try
        {
            world = World.Join();
        }
        catch (CommunicationException error)
        {
            return End(Failed, error.Message);
        }

        using (world)
        {
            try
            {
                Train(options, world);
                return Succeeded;
            }
            catch (OperationCanceledException error)
            {
                world.Report(error);
                return Interrupted;
            }
            catch (Exception error) when (IsExpected(error))
            {
                return world.Report(error);
            }
        }
    }

    /// <summary>What data, numbers or machine can bring about; anything else is a fault of the program, whose trace helps.</summary>
    private static bool IsExpected(Exception error) =>
        error is IOException or UnauthorizedAccessException or InvalidDataException or ArgumentException or InvalidOperationException
            or TrainingDivergedException or PipelineException or CurvatureException or CommunicationException;

    private static void Train(Options options, World world)
    {
        Stopwatch clock = Stopwatch.StartNew();
        string folder = options.Data ?? Path.Combine(AppContext.BaseDirectory, "mnist");
        using TensorDataset train = AsDataset(Mnist.LoadTraining(folder, Mnist.Mean, Mnist.Deviation));
        using TensorDataset test = AsDataset(Mnist.LoadTest(folder, Mnist.Mean, Mnist.Deviation));

        using Trainer trainer = MnistNet.CreateTrainer(world, new TrainingOptions
        {
            LearningRate = options.LearningRate ?? (options.Base == BaseKind.Adam ? 1e-3 : 0.05),
            FinalLearningRate = 0,
            Epochs = options.Epochs,
            Seed = options.Seed,
            Optimizer = options.Optimizer,
            GradientClip = 3,
            Checkpoints = options.Checkpoint is { } saved ? new CheckpointOptions { Folder = saved } : null,
            Overrides = new PlanOverrides { Batch = options.Batch, Base = options.Base, Replicas = options.Replicas },
        });

        Evaluation FitAndEvaluate()
        {
            trainer.Fit(train, test);
            return trainer.Evaluate(test);
        }

        if (!world.IsLeader)
        {
            // Another rank prints.
            FitAndEvaluate();
            return;
        }

        if (world.PreviousFailure is { } previous)
        {
            Console.WriteLine(previous);
        }

        Display display = new(AnsiConsole.Console);
        display.ShowPlan(trainer);
        display.ShowResumed(trainer);
        Evaluation result = display.Follow(trainer, FitAndEvaluate);
        int replicas = trainer.Plan.Options.Replicas;
        string more = replicas > 1 ? $" replicas={replicas}" : "";
        Console.WriteLine(FormattableString.Invariant(
            $"result: test_accuracy={result.Accuracy:0.0000} test_loss={result.Loss:0.0000} seconds={clock.Elapsed.TotalSeconds:0.0} stages={trainer.Plan.Stages.Count}{more}"));
    }

    private static TensorDataset AsDataset(LabelledImages images)
    {
        using (images)
        {
            return new TensorDataset(images.Images, images.Labels);
        }
    }

    private static int End(int exitCode, params string[] lines)
    {
        foreach (string line in lines)
        {
            Console.Error.WriteLine(line);
        }

        return exitCode;
    }
}
