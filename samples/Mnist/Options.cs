using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using Dho2;

namespace MnistSample;

/// <summary>The command line of the sample.</summary>
internal sealed record Options
{
    public const string Usage =
        "usage: Mnist [--epochs N] [--batch N] [--lr X] [--base sgd|heavy-ball|nesterov|adam] [--seed N]\n" +
        "             [--optimizer hybrid|heavy-ball|adam] [--replicas N] [--data FOLDER]\n" +
        "             [--checkpoint FOLDER] [--help]\n" +
        "Alone, all ranks are threads of one process; mpirun -n 4 Mnist runs two stages in two replicas, each rank a process.";

    private const char ValueSeparator = '=';

    private static readonly Dictionary<string, BaseKind> Bases = new()
    {
        ["sgd"] = BaseKind.Sgd,
        ["heavy-ball"] = BaseKind.HeavyBall,
        ["nesterov"] = BaseKind.Nesterov,
        ["adam"] = BaseKind.Adam,
    };

    /// <summary>Passes over the 60,000 training images.</summary>
    public int Epochs { get; private set; } = 3;

    /// <summary>Images per step.</summary>
    public int Batch { get; private set; } = 256;

    /// <summary>The base rate; null takes the one that suits the base.</summary>
    public double? LearningRate { get; private set; }

    public BaseKind Base { get; private set; } = BaseKind.HeavyBall;

    public OptimizerKind Optimizer { get; private set; } = OptimizerKind.Hybrid;

    public long Seed { get; private set; } = 1;

    /// <summary>Copies of the pipeline, which share each batch; null takes as many as the launcher has started processes for.</summary>
    public int? Replicas { get; private set; }

    /// <summary>A folder of IDX files; null takes the ones that come with the sample.</summary>
    public string? Data { get; private set; }

    /// <summary>Where the run saves after every epoch, and goes on from when it is started again; null for nowhere.</summary>
    public string? Checkpoint { get; private set; }

    public bool Help { get; private set; }

    /// <summary>Reads <c>--name value</c> and <c>--name=value</c>; of an option given twice, the later one counts.</summary>
    /// <exception cref="FormatException">An option is unknown, lacks its value, or has one out of range.</exception>
    public static Options Parse(IReadOnlyList<string> arguments)
    {
        Options options = new();
        bool baseGiven = false;
        BaseKind? alone = null;
        var left = new Queue<string>(arguments.SelectMany(argument =>
            argument.StartsWith("--", StringComparison.Ordinal) ? argument.Split(ValueSeparator, 2) : [argument]));
        while (left.TryDequeue(out string? name))
        {
            string Value() => left.TryDequeue(out string? value) ? value : throw new FormatException($"{name} needs a value");
            switch (name)
            {
                case "--help" or "-h":
                    options.Help = true;
                    break;
                case "--epochs":
                    options.Epochs = Whole(name, Value(), 1, 10_000);
                    break;
                case "--batch":
                    options.Batch = Whole(name, Value(), 1, 60_000);
                    break;
                case "--lr":
                    options.LearningRate = Rate(name, Value());
                    break;
                case "--seed":
                    options.Seed = Whole(name, Value(), 0, int.MaxValue);
                    break;
                case "--replicas":
                    options.Replicas = Whole(name, Value(), 1, 1024);
                    break;
                case "--base":
                    options.Base = OneOf(name, Value(), Bases);
                    baseGiven = true;
                    break;
                case "--optimizer":
                    string optimizer = Value();
                    alone = optimizer == "hybrid"
                        ? null
                        : OneOf(name, optimizer, new Dictionary<string, BaseKind> { ["heavy-ball"] = BaseKind.HeavyBall, ["adam"] = BaseKind.Adam }, "hybrid, ");
                    break;
                case "--data":
                    options.Data = ExistingFolder(name, Value());
                    break;
                case "--checkpoint":
                    options.Checkpoint = Folder(name, Value());
                    break;
                default:
                    throw new FormatException($"unknown option '{name}'");
            }
        }

        if (alone is { } kind)
        {
            if (baseGiven && options.Base != kind)
            {
                throw new FormatException("--base chooses what the hybrid optimizer builds on; it contradicts --optimizer here");
            }

            options.Optimizer = OptimizerKind.FirstOrder;
            options.Base = kind;
        }

        return options;
    }

    private static int Whole(string name, string text, int least, int most) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int value) && value >= least && value <= most
            ? value
            : throw new FormatException($"{name} takes a whole number from {least} to {most}, not '{text}'");

    private static double Rate(string name, string text) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) && double.IsFinite(value) && value > 0
            ? value
            : throw new FormatException($"{name} takes a number above 0, not '{text}'");

    private static string ExistingFolder(string name, string path) =>
        Directory.Exists(path) ? path : throw new FormatException($"{name} takes a folder of IDX files; there is no folder '{path}'");

    private static string Folder(string name, string path) =>
        path.Trim().Length > 0 && !File.Exists(path) ? path : throw new FormatException($"{name} takes a folder, which need not exist yet, not '{path}'");

    private static T OneOf<T>(string name, string text, Dictionary<string, T> choices, string more = "") =>
        choices.TryGetValue(text, out T? value)
            ? value
            : throw new FormatException($"{name} takes one of {more}{string.Join(", ", choices.Keys)}, not '{text}'");
}
