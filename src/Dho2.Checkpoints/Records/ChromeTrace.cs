using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text.Json;

namespace Dho2.Records;

/// <summary>
/// What the ranks of a process did when, in the trace-event format of Chrome ("Trace Event Format", JSON Object Format), which
/// <c>chrome://tracing</c> and Perfetto open: a thread for each rank, a complete event (<c>X</c>) for each thing it did.
/// </summary>
/// <param name="Model">The model's name.</param>
/// <param name="Origin">When the time 0 was.</param>
/// <param name="Ranks">The ranks' names, by number.</param>
/// <param name="Spans">What they did.</param>
/// <param name="Truncated">Whether there was more than there was room for.</param>
public sealed record ChromeTrace(string Model, DateTimeOffset Origin, IReadOnlyDictionary<int, string> Ranks, IReadOnlyList<TraceSpan> Spans, bool Truncated)
{
    private const string Prefix = "trace-";
    private const string Suffix = ".json";

    /// <summary>The name of a process's file.</summary>
    /// <param name="rank">Its first rank.</param>
    public static string NameOf(int rank) => string.Create(CultureInfo.InvariantCulture, $"{Prefix}{rank}{Suffix}");

    /// <summary>Puts the files of several processes together, on one axis of time: as well as their clocks agree.</summary>
    /// <param name="traces">At least one.</param>
    public static ChromeTrace Merge(IReadOnlyList<ChromeTrace> traces)
    {
        DateTimeOffset origin = traces.Min(t => t.Origin);
        return new ChromeTrace(
            traces[0].Model,
            origin,
            traces.SelectMany(t => t.Ranks).GroupBy(r => r.Key).ToDictionary(g => g.Key, g => g.First().Value),
            [.. traces.SelectMany(t => t.Spans.Select(s => s with { Start = s.Start + (t.Origin - origin).TotalMicroseconds }))],
            traces.Any(t => t.Truncated));
    }

    /// <summary>Writes the file, in place of an earlier one; there is never half of it.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="IOException">It cannot be written.</exception>
    public void Write(string path)
    {
        using (FileStream stream = File.Create(path + ".new"))
        using (var json = new Utf8JsonWriter(stream))
        {
            json.WriteStartObject();
            json.WriteString("displayTimeUnit", "ms");
            json.WriteStartObject("otherData");
            json.WriteString("model", Model);
            json.WriteString("origin", Origin);
            json.WriteBoolean("truncated", Truncated);
            json.WriteEndObject();
            json.WriteStartArray("traceEvents");
            Name(json, "process_name", 0, Model);
            foreach ((int rank, string name) in Ranks.OrderBy(r => r.Key))
            {
                Name(json, "thread_name", rank, name);
                json.WriteStartObject();
                Event(json, "thread_sort_index", "M", rank);
                json.WriteStartObject("args");
                json.WriteNumber("sort_index", rank);
                json.WriteEndObject();
                json.WriteEndObject();
            }

            foreach (TraceSpan span in Spans)
            {
                span.Write(json);
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        File.Move(path + ".new", path, overwrite: true);
    }

    /// <summary>Reads a file that <see cref="Write"/> wrote.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="RecordException">It is damaged.</exception>
    public static ChromeTrace Read(string path)
    {
        try
        {
            using FileStream stream = File.OpenRead(path);
            using JsonDocument json = JsonDocument.Parse(stream);
            JsonElement other = json.RootElement.GetProperty("otherData");
            JsonElement[] events = [.. json.RootElement.GetProperty("traceEvents").EnumerateArray()];
            return new ChromeTrace(
                other.GetProperty("model").GetString()!,
                other.GetProperty("origin").GetDateTimeOffset(),
                events.Where(e => e.GetProperty("name").ValueEquals("thread_name"))
                    .ToDictionary(e => e.GetProperty("tid").GetInt32(), e => e.GetProperty("args").GetProperty("name").GetString()!),
                [.. events.Where(e => e.GetProperty("ph").ValueEquals("X")).Select(TraceSpan.Read)],
                other.GetProperty("truncated").GetBoolean());
        }
        catch (Exception error) when (error is JsonException or KeyNotFoundException or InvalidOperationException or FormatException or ArgumentException)
        {
            throw new RecordException(path, $"it is damaged, or no trace of a run: {error.Message}", inner: error);
        }
    }

    /// <summary>Begins an event: name, phase, process and thread.</summary>
    internal static void Event(Utf8JsonWriter json, string name, string phase, int rank)
    {
        json.WriteString("name", name);
        json.WriteString("ph", phase);
        json.WriteNumber("pid", 0);
        json.WriteNumber("tid", rank);
    }

    private static void Name(Utf8JsonWriter json, string what, int rank, string name)
    {
        json.WriteStartObject();
        Event(json, what, "M", rank);
        json.WriteStartObject("args");
        json.WriteString("name", name);
        json.WriteEndObject();
        json.WriteEndObject();
    }
}

/// <summary>Something that a rank did.</summary>
/// <param name="Rank">The rank.</param>
/// <param name="Name">What, such as <c>Forward</c>.</param>
/// <param name="Category">One of <see cref="TraceCategory"/>.</param>
/// <param name="Start">When it began: microseconds from the trace's origin.</param>
/// <param name="Duration">How long it took, in microseconds.</param>
/// <param name="Stage">The stage; -1 where there is none.</param>
/// <param name="Step">The step, counted from 1.</param>
/// <param name="MicroBatch">The micro-batch, counted from 0; -1 where there is none.</param>
public readonly record struct TraceSpan(int Rank, string Name, string Category, double Start, double Duration, int Stage, long Step, int MicroBatch)
{
    /// <summary>When it was over: microseconds from the trace's origin.</summary>
    public double End => Start + Duration;

    internal void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        ChromeTrace.Event(json, Name, "X", Rank);
        json.WriteString("cat", Category);

        // Thousandths: a trace counts in microseconds, clocks in nanoseconds.
        json.WriteNumber("ts", Math.Round((decimal)Start, 3));
        json.WriteNumber("dur", Math.Round((decimal)Duration, 3));
        json.WriteStartObject("args");
        json.WriteNumber("step", Step);
        if (Stage >= 0)
        {
            json.WriteNumber("stage", Stage);
        }

        if (MicroBatch >= 0)
        {
            json.WriteNumber("micro_batch", MicroBatch);
        }

        json.WriteEndObject();
        json.WriteEndObject();
    }

    internal static TraceSpan Read(JsonElement json)
    {
        JsonElement args = json.GetProperty("args");
        return new TraceSpan(
            json.GetProperty("tid").GetInt32(),
            json.GetProperty("name").GetString()!,
            json.GetProperty("cat").GetString()!,
            json.GetProperty("ts").GetDouble(),
            json.GetProperty("dur").GetDouble(),
            args.TryGetProperty("stage", out JsonElement stage) ? stage.GetInt32() : -1,
            args.GetProperty("step").GetInt64(),
            args.TryGetProperty("micro_batch", out JsonElement microBatch) ? microBatch.GetInt32() : -1);
    }
}

/// <summary>Kinds of things that ranks do.</summary>
public static class TraceCategory
{
    /// <summary>The forward of a micro-batch.</summary>
    public const string Forward = "forward";

    /// <summary>The backward of a micro-batch, or its part for inputs.</summary>
    public const string Backward = "backward";

    /// <summary>The backward's part for weights.</summary>
    public const string BackwardWeight = "backward-weight";

    /// <summary>Handing a cut or its gradient over.</summary>
    public const string Send = "send";

    /// <summary>Waiting for a cut or its gradient, and taking it.</summary>
    public const string Receive = "receive";

    /// <summary>Reductions over replicas and ranks, waiting for the others included.</summary>
    public const string Reduce = "reduce";

    /// <summary>The optimizer's update.</summary>
    public const string Update = "update";

    /// <summary>An estimate of curvature.</summary>
    public const string Curvature = "curvature";

    /// <summary>Reading samples.</summary>
    public const string Data = "data";

    /// <summary>Anything else.</summary>
    public const string Other = "other";
}
