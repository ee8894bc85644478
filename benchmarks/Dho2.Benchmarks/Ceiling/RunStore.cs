using System;
using System.IO;
using System.Text.Json;

namespace Dho2.Benchmarks.Ceiling;

/// <summary>Keeps results as one JSON file a run, so that an interrupted experiment goes on where it stopped.</summary>
internal sealed class RunStore
{
    private static readonly JsonSerializerOptions Json = new()
    {
        WriteIndented = false,
        NumberHandling = System.Text.Json.Serialization.JsonNumberHandling.AllowNamedFloatingPointLiterals,
        Converters = { new System.Text.Json.Serialization.JsonStringEnumConverter() },
    };

    private readonly string folder;

    public RunStore(string folder)
    {
        this.folder = folder;
        Directory.CreateDirectory(folder);
    }

    /// <summary>Returns the stored result, or null where the run has not been made yet.</summary>
    public RunResult? Find(RunSettings settings)
    {
        string path = PathOf(settings);
        return File.Exists(path) ? JsonSerializer.Deserialize<RunResult>(File.ReadAllText(path), Json) : null;
    }

    /// <summary>Stores a result; the file appears whole or not at all.</summary>
    public void Add(RunResult result)
    {
        string path = PathOf(result.Settings);
        string partial = path + "." + Environment.ProcessId;
        File.WriteAllText(partial, JsonSerializer.Serialize(result, Json) + "\n");
        File.Move(partial, path, overwrite: true);
    }

    private string PathOf(RunSettings settings) => Path.Combine(folder, settings.Key + ".json");
}
