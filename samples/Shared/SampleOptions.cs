using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using Dho2.Checkpoints;
using Dho2.Planning;

namespace Dho2.Samples;

/// <summary>What differs between the samples' command lines.</summary>
/// <param name="Name">The program's name.</param>
/// <param name="Epochs">Passes over the data where none are given.</param>
/// <param name="Batch">Samples per step where none are given.</param>
/// <param name="DataFiles">What <c>--data</c> names: "a folder of IDX files".</param>
/// <param name="Base">The base optimizer where none is given.</param>
public sealed record SampleDefaults(string Name, int Epochs, int Batch, string DataFiles, BaseKind Base = BaseKind.HeavyBall)
{
    /// <summary>The base rate that suits an optimizer.</summary>
    public Func<BaseKind, double> LearningRate { get; init; } = kind => kind == BaseKind.Adam ? 1e-3 : 0.05;

    /// <summary>The training samples that <c>--quick</c> leaves.</summary>
    public int QuickSamples { get; init; } = 2_000;

    /// <summary>Options that this sample alone has, each with the values that it takes; the first is the default.</summary>
    public IReadOnlyDictionary<string, string[]> Choices { get; init; } = new Dictionary<string, string[]>();

    /// <summary>Whether <c>--data</c> names a file, not a folder.</summary>
    public bool DataIsFile { get; init; }

    /// <summary>Whether there are no data that come with the sample.</summary>
    public bool NeedsData { get; init; }

    /// <summary>What follows the options in the usage text.</summary>
    public string More { get; init; } = "";
}

/// <summary>The command line of a sample.</summary>
public sealed record SampleOptions
{
    private const char ValueSeparator = '=';

    private readonly SampleDefaults defaults;
    private readonly Dictionary<string, string> chosen;
    private double? learningRate;

    private static readonly Dictionary<string, BaseKind> Bases = new()
    {
        ["sgd"] = BaseKind.Sgd,
        ["heavy-ball"] = BaseKind.HeavyBall,
        ["nesterov"] = BaseKind.Nesterov,
        ["adam"] = BaseKind.Adam,
    };

    private SampleOptions(SampleDefaults defaults)
    {
        this.defaults = defaults;
        (Epochs, Batch, Base) = (defaults.Epochs, defaults.Batch, defaults.Base);
        chosen = defaults.Choices.ToDictionary(choice => choice.Key, choice => choice.Value[0]);
    }

    /// <summary>The usage text of a sample.</summary>
    public static string Usage(SampleDefaults defaults)
    {
        string start = $"usage: {defaults.Name} ";
        string indent = "\n" + new string(' ', start.Length);
        string choices = string.Concat(defaults.Choices.Select(choice => $" [{choice.Key} {string.Join('|', choice.Value)}]"));
        string data = $"--data {(defaults.DataIsFile ? "FILE" : "FOLDER")}";
        return $"{start}[--epochs N] [--batch N] [--lr X] [--base sgd|heavy-ball|nesterov|adam] [--seed N]" +
            $"{indent}[--optimizer hybrid|heavy-ball|adam] [--replicas N]{choices}" +
            $"{indent}{(defaults.NeedsData ? data : $"[{data}]")} [--checkpoint FOLDER] [--record FOLDER] [--losses FILE]" +
            $"{indent}[--trial keep|drop] [--quick] [--help]" +
            (defaults.More.Length > 0 ? "\n" + defaults.More : "");
    }

    /// <summary>Passes over the training data.</summary>
    public int Epochs { get; private set; }

    /// <summary>Samples per step.</summary>
    public int Batch { get; private set; }

    /// <summary>The base rate: the given one, or the one that suits the base.</summary>
    public double LearningRate => learningRate ?? defaults.LearningRate(Base);

    /// <summary>The base optimizer.</summary>
    public BaseKind Base { get; private set; }

    /// <summary>Whether curvature is used.</summary>
    public OptimizerKind Optimizer { get; private set; } = OptimizerKind.Hybrid;

    /// <summary>The run's seed.</summary>
    public long Seed { get; private set; } = 1;

    /// <summary>Whether a part of the data is enough, to see that everything works.</summary>
    public bool Quick { get; private set; }

    /// <summary>The training samples to use: all, or the first few.</summary>
    public int Samples => Quick ? defaults.QuickSamples : int.MaxValue;

    /// <summary>Where the run saves and from where it goes on; null for no checkpoints.</summary>
    public string? Checkpoint { get; private set; }

    /// <summary>Where the run writes down what <c>dho2 report</c> shows; null for nowhere.</summary>
    public string? Record { get; private set; }

    /// <summary>What is done where a trial finds that curvature does not pay; null makes no trial.</summary>
    public UnpaidCurvature? Trial { get; private set; }

    /// <summary>A file for the loss of every step; null for none.</summary>
    public string? Losses { get; private set; }

    /// <summary>Copies of the pipeline, which share each batch; null takes as many as the launcher has started processes for.</summary>
    public int? Replicas { get; private set; }

    /// <summary>Where the data lie; null takes those that come with the sample.</summary>
    public string? Data { get; private set; }

    /// <summary>Whether the usage text was asked for.</summary>
    public bool Help { get; private set; }

    /// <summary>The value of an option that this sample alone has.</summary>
    public string Choice(string name) => chosen[name];

    /// <summary>The training options that follow.</summary>
    public TrainingOptions ToTrainingOptions() => new()
    {
        LearningRate = LearningRate,
        FinalLearningRate = 0,
        Epochs = Epochs,
        Seed = Seed,
        Optimizer = Optimizer,
        GradientClip = 3,
        Checkpoints = Checkpoint is { } folder ? new CheckpointOptions { Folder = folder } : null,
        Record = Record is { } record ? new RecordOptions { Folder = record } : null,
        CurvatureTrial = Trial is { } decision ? new CurvatureTrial { WhenItDoesNotPay = decision } : null,
        Overrides = new PlanOverrides { Batch = Batch, Base = Base, Replicas = Replicas },
    };

    /// <summary>Reads <c>--name value</c> and <c>--name=value</c>; of an option given twice, the later one counts.</summary>
    /// <exception cref="FormatException">An option is unknown, lacks its value, or has one out of range.</exception>
    public static SampleOptions Parse(SampleDefaults defaults, IReadOnlyList<string> arguments)
    {
        SampleOptions options = new(defaults);
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
                case "--losses":
                    options.Losses = Value();
                    break;
                case "--epochs":
                    options.Epochs = Whole(name, Value(), 1, 10_000);
                    break;
                case "--batch":
                    options.Batch = Whole(name, Value(), 1, 60_000);
                    break;
                case "--lr":
                    options.learningRate = Rate(name, Value());
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
                    options.Data = Existing(name, Value(), defaults);
                    break;
                case "--checkpoint":
                    options.Checkpoint = Folder(name, Value());
                    break;
                case "--record":
                    options.Record = Folder(name, Value());
                    break;
                case "--trial":
                    options.Trial = OneOf(
                        name, Value(), new Dictionary<string, UnpaidCurvature> { ["keep"] = UnpaidCurvature.Keep, ["drop"] = UnpaidCurvature.Drop });
                    break;
                case "--quick":
                    options.Quick = true;
                    break;
                case { } other when defaults.Choices.TryGetValue(other, out string[]? values):
                    options.chosen[other] = OneOf(other, Value(), values.ToDictionary(value => value));
                    break;
                default:
                    throw new FormatException($"unknown option '{name}'");
            }
        }

        if (defaults.NeedsData && options.Data is null && !options.Help)
        {
            throw new FormatException($"--data is needed: {defaults.DataFiles}");
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

    private static string Existing(string name, string path, SampleDefaults defaults) =>
        (defaults.DataIsFile ? File.Exists(path) : Directory.Exists(path))
            ? path
            : throw new FormatException($"{name} takes {defaults.DataFiles}; there is no {(defaults.DataIsFile ? "file" : "folder")} '{path}'");

    private static string Folder(string name, string path) =>
        path.Trim().Length > 0 && !File.Exists(path) ? path : throw new FormatException($"{name} takes a folder, which need not exist yet, not '{path}'");

    private static T OneOf<T>(string name, string text, Dictionary<string, T> choices, string more = "") =>
        choices.TryGetValue(text, out T? value)
            ? value
            : throw new FormatException($"{name} takes one of {more}{string.Join(", ", choices.Keys)}, not '{text}'");
}
