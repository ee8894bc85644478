using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Text.Json;

namespace Dho2.Benchmarks.Memory;

/// <summary>Measured numbers, in a file where one is named: what is there is not measured again.</summary>
internal sealed class MeasuredMemory
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    private readonly string? file;
    private readonly bool isStored;
    private readonly Dictionary<string, RankMemory> measured;

    /// <summary>Reads what is there.</summary>
    /// <param name="file">The file; null for none.</param>
    /// <param name="isStored">Whether nothing is measured.</param>
    public MeasuredMemory(string? file, bool isStored)
    {
        this.file = file;
        this.isStored = isStored;
        measured = file is not null && File.Exists(file) ? JsonSerializer.Deserialize<Dictionary<string, RankMemory>>(File.ReadAllText(file))! : [];
    }

    /// <summary>What a stage's process needs; null where that is not known and nothing is measured.</summary>
    /// <param name="configuration">The run.</param>
    /// <param name="stage">The stage.</param>
    /// <param name="divisor">What the batch is divided by.</param>
    public RankMemory? Of(MemoryConfiguration configuration, int stage, int divisor)
    {
        string key = string.Create(CultureInfo.InvariantCulture, $"{configuration.Name}, stage {stage}, batch {configuration.Batch / divisor}");
        if (!measured.TryGetValue(key, out RankMemory? memory) && !isStored)
        {
            measured[key] = memory = Measure(configuration, stage, divisor);
            if (file is not null)
            {
                File.WriteAllText(file, JsonSerializer.Serialize(measured, Indented) + "\n");
            }
        }

        return memory;
    }

    private static RankMemory Measure(MemoryConfiguration configuration, int stage, int divisor)
    {
        // Started by its library, this process is the host of .NET.
        string program = System.Environment.ProcessPath!;
        string[] library = Path.GetFileNameWithoutExtension(program) == "dotnet" ? [typeof(MeasuredMemory).Assembly.Location] : [];
        var start = new ProcessStartInfo(program, [.. library, "memory", "--rank", configuration.Name, Text(stage), Text(divisor)])
        {
            RedirectStandardOutput = true,
            UseShellExecute = false,
        };
        foreach ((string name, string value) in RankMeasurement.Environment)
        {
            start.Environment[name] = value;
        }

        using Process process = Process.Start(start)!;
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0
            ? JsonSerializer.Deserialize<RankMemory>(output.Trim().Split('\n')[^1])!
            : throw new InvalidOperationException($"Stage {stage} of '{configuration.Name}' ended with status {process.ExitCode}: {output}");
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
