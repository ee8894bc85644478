using System;
using System.Globalization;
using System.IO;
using Dho2.Communication;
using Dho2.Curvature;
using Dho2.Data;
using Dho2.Pipelines;
using Spectre.Console;

namespace Dho2.Samples;

/// <summary>What the samples' programs have in common: options, ranks, the display, and how errors end them.</summary>
public static class SampleProgram
{
    private const int Succeeded = 0;
    private const int Failed = 1;
    private const int Misused = 2;

    // As shells report a program that was ended by Ctrl+C.
    private const int Interrupted = 130;

    /// <summary>Reads the command line, joins the other ranks, and trains.</summary>
    /// <returns>The exit code.</returns>
    public static int Run(SampleDefaults defaults, string[] arguments, Action<SampleOptions, World> train)
    {
        SampleOptions options;
        try
        {
            options = SampleOptions.Parse(defaults, arguments);
        }
        catch (FormatException error)
        {
            return End(Misused, error.Message, SampleOptions.Usage(defaults));
        }

        if (options.Help)
        {
            Console.WriteLine(SampleOptions.Usage(defaults));
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
                train(options, world);
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

    /// <summary>Trains and shows it, on the rank that prints; the others train in silence.</summary>
    /// <returns>The evaluation on the test data, of the last epoch.</returns>
    public static Evaluation FitAndShow(SampleOptions options, Trainer trainer, World world, IDataset train, IDataset test)
    {
        Evaluation FitAndEvaluate()
        {
            trainer.Fit(train, test);
            return trainer.Evaluate(test);
        }

        if (!world.IsLeader)
        {
            return FitAndEvaluate();
        }

        using StreamWriter? losses = options.Losses is { } file ? new StreamWriter(file) : null;
        trainer.StepCompleted += step => losses?.WriteLine(step.Result.Loss.ToString("R", CultureInfo.InvariantCulture));
        if (world.PreviousFailure is { } previous)
        {
            Console.WriteLine(previous);
        }

        Display display = new(AnsiConsole.Console);
        display.ShowPlan(trainer);
        display.ShowResumed(trainer);
        return display.Follow(trainer, FitAndEvaluate);
    }

    /// <summary>Prints the run's result as one line, on the rank that prints.</summary>
    public static void ShowResult(Trainer trainer, World world, Evaluation result, TimeSpan elapsed)
    {
        if (!world.IsLeader)
        {
            return;
        }

        string accuracy = result.Accuracy is { } share ? FormattableString.Invariant($"test_accuracy={share:0.0000} ") : "";
        int replicas = trainer.Plan.Options.Replicas;
        string more = replicas > 1 ? $" replicas={replicas}" : "";
        Console.WriteLine(FormattableString.Invariant(
            $"result: {accuracy}test_loss={result.Loss:0.0000} seconds={elapsed.TotalSeconds:0.0} stages={trainer.Plan.Stages.Count}{more}"));
    }

    // What data, numbers or machine can bring about; anything else is a fault of the program, whose trace helps.
    private static bool IsExpected(Exception error) =>
        error is IOException or UnauthorizedAccessException or InvalidDataException or ArgumentException or InvalidOperationException
            or TrainingDivergedException or PipelineException or CurvatureException or CommunicationException;

    private static int End(int exitCode, params string[] lines)
    {
        foreach (string line in lines)
        {
            Console.Error.WriteLine(line);
        }

        return exitCode;
    }
}
