using System;
using System.IO;
using System.Linq;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;

namespace Dho2.Benchmarks.Experiments;

/// <summary>Keeps results as one JSON file a run, so that an interrupted experiment goes on where it stopped.</summary>
internal sealed partial class RunStore
{
    private static readonly JsonSerializerOptions Json = new()
    {
        WriteIndented = true,
        NewLine = "\n",
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
        Converters = { new JsonStringEnumConverter() },
    };

    private readonly string folder;

    public RunStore(string folder)
    {
        this.folder = folder;
        Directory.CreateDirectory(folder);
    }

    /// <summary>Returns the stored result, or null where the run has not been made yet.</summary>
    public RunResult? Find(RunSettings settings) => Read<RunResult>(settings.Key);

    /// <summary>Stores a result; the file appears whole or not at all.</summary>
    public void Add(RunResult result) => Write(result.Settings.Key, result);

    /// <summary>All results of a task.</summary>
    public RunResult[] All(string task) =>
        [.. Directory.GetFiles(folder, $"{task}.*.seed*.json").Order(StringComparer.Ordinal).Select(path => Parse<RunResult>(path))];

    /// <summary>Returns what was stored under a name, or null.</summary>
    public T? Read<T>(string name)
        where T : class
    {
        string path = PathOf(name);
        return File.Exists(path) ? Parse<T>(path) : null;
    }

    /// <summary>Stores a value under a name; the file appears whole or not at all. Arrays of numbers keep to one line.</summary>
    public void Write<T>(string name, T value)
    {
        string partial = PathOf(name) + "." + Environment.ProcessId;
        string text = JsonSerializer.Serialize(value, Json);
        File.WriteAllText(partial, NumberArray().Replace(text, match => Blank().Replace(match.Value, " ")) + "\n");
        File.Move(partial, PathOf(name), overwrite: true);
    }

    private static T Parse<T>(string path) =>
        JsonSerializer.Deserialize<T>(File.ReadAllText(path), Json) ?? throw new InvalidDataException($"{path} holds nothing.");

    private string PathOf(string name) => Path.Combine(folder, name + ".json");

    [GeneratedRegex(@"\[[^\[\]{}]*\]")]
    private static partial Regex NumberArray();

    [GeneratedRegex(@"\s+")]
    private static partial Regex Blank();
}
