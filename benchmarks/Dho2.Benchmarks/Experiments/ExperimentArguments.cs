using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;

namespace Dho2.Benchmarks.Experiments;

/// <summary>The options of an experiment with stored runs, as given on the command line.</summary>
internal sealed class ExperimentArguments
{
    private static readonly string[] Flags = ["--quick", "--stored", "--costs"];
    private static readonly string[] Valued = ["--task", "--cifar", "--mnist", "--text", "--results", "--report", "--seeds", "--groups", "--threads"];

    private readonly Dictionary<string, string> values = [];
    private readonly HashSet<string> flags = [];

    private ExperimentArguments()
    {
    }

    /// <summary>Whether the experiment is cut down.</summary>
    public bool Quick => Has("--quick");

    /// <summary>Reads options.</summary>
    /// <exception cref="ArgumentException">One is unknown, or lacks its value; the message ends with the usage.</exception>
    public static ExperimentArguments Parse(string[] arguments, string usage)
    {
        ExperimentArguments result = new();
        for (int i = 0; i < arguments.Length; i++)
        {
            if (Flags.Contains(arguments[i]))
            {
                result.flags.Add(arguments[i]);
            }
            else if (Valued.Contains(arguments[i]) && i + 1 < arguments.Length)
            {
                result.values[arguments[i]] = arguments[++i];
            }
            else
            {
                throw new ArgumentException($"Unknown option, or one without its value: '{arguments[i]}'.\n{usage}");
            }
        }

        return result;
    }

    /// <summary>Whether a flag is given.</summary>
    public bool Has(string flag) => flags.Contains(flag);

    /// <summary>An option's value; null where it is not given.</summary>
    public string? Text(string option) => values.GetValueOrDefault(option);

    /// <summary>The folder of stored runs: what is cut down is no result, and stays out of the documentation.</summary>
    public string Results(string experiment) =>
        Text("--results") ?? (Quick ? Path.Combine(Path.GetTempPath(), $"dho2-{experiment}-quick") : $"docs/experiments/{experiment}");
}
