using System;
using System.Globalization;
using System.IO;
using System.IO.MemoryMappedFiles;
using System.Text;
using System.Text.Unicode;

namespace Dho2.Communication;

/// <summary>
/// A small text file in which a rank notes what it is at. It is mapped into memory: a note costs a fraction of a
/// microsecond, and what was noted survives the death of the process.
/// </summary>
internal sealed unsafe class ProgressFile : IDisposable
{
    private const int HeadSize = 256;
    private const int StateSize = 256;
    private const string Magic = "dho2 progress 1";

    private readonly MemoryMappedFile mapped;
    private readonly MemoryMappedViewAccessor view;
    private readonly object gate = new();
    private byte* address;

    private ProgressFile(MemoryMappedFile mapped)
    {
        this.mapped = mapped;
        view = mapped.CreateViewAccessor(0, HeadSize + StateSize);
        view.SafeMemoryMappedViewHandle.AcquirePointer(ref address);
    }

    /// <summary>Makes a rank's file anew.</summary>
    public static ProgressFile Create(string path, int rank, int size, string job)
    {
        MemoryMappedFile mapped = MemoryMappedFile.CreateFromFile(path, FileMode.Create, null, HeadSize + StateSize);
        var file = new ProgressFile(mapped);
        LocalProcess self = LocalProcess.Self();
        file.Put(0, HeadSize, $"{Magic}\nrank {rank} of {size}\nprocess {self.Id} {self.Started} on {self.Host}\njob {job}\n");
        file.Write("running", new RankState("start", -1, -1, -1, DateTime.UtcNow));
        return file;
    }

    /// <summary>Notes a state.</summary>
    public void Write(string status, RankState state)
    {
        Span<byte> line = stackalloc byte[StateSize];
        line.Fill((byte)' ');
        Utf8.TryWrite(
            line[..^1], CultureInfo.InvariantCulture, $"{status}\t{state.Stage}\t{state.Step}\t{state.MicroBatch}\t{state.Since:O}\t{state.Doing}\t", out _);
        line[^1] = (byte)'\n';
        lock (gate)
        {
            if (address != null)
            {
                line.CopyTo(new Span<byte>(address + HeadSize, StateSize));
            }
        }
    }

    /// <summary>Reads a rank's file; null if there is none, or one that is not of this kind.</summary>
    public static RankProgress? Read(string path)
    {
        string[] lines;
        try
        {
            lines = Encoding.UTF8.GetString(File.ReadAllBytes(path)).Split('\n');
        }
        catch (IOException)
        {
            return null;
        }

        if (lines.Length < 6 || lines[0] != Magic)
        {
            return null;
        }

        string[] rank = lines[1].Split(' ');
        string[] process = lines[2].Split(' ');
        string[] state = lines[5].Split('\t');
        return rank.Length >= 4 && process.Length >= 5 && state.Length >= 7
            && int.TryParse(rank[1], out int number) && int.TryParse(rank[3], out int size)
            && int.TryParse(process[1], out int id) && long.TryParse(process[2], out long started)
            && int.TryParse(state[1], out int stage) && long.TryParse(state[2], out long step) && int.TryParse(state[3], out int microBatch)
            && DateTime.TryParse(state[4], CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind, out DateTime since)
                ? new RankProgress(number, size, new LocalProcess(id, started, process[4]), lines[3]["job ".Length..], state[0].Trim(), new RankState(state[5], stage, step, microBatch, since))
                : null;
    }

    public void Dispose()
    {
        lock (gate)
        {
            if (address != null)
            {
                address = null;
                view.SafeMemoryMappedViewHandle.ReleasePointer();
                view.Dispose();
                mapped.Dispose();
            }
        }
    }

    private void Put(int offset, int length, string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        var area = new Span<byte>(address + offset, length);
        area.Fill((byte)' ');
        bytes.AsSpan(0, Math.Min(bytes.Length, length - 1)).CopyTo(area);
        area[^1] = (byte)'\n';
    }
}

/// <summary>What a rank's progress file says.</summary>
/// <param name="Rank">The rank.</param>
/// <param name="Size">The number of ranks.</param>
/// <param name="Process">Its process.</param>
/// <param name="Job">The job it belonged to.</param>
/// <param name="Status"><c>running</c>, <c>ended</c> or <c>failed</c>.</param>
/// <param name="State">What it was last at.</param>
internal sealed record RankProgress(int Rank, int Size, LocalProcess Process, string Job, string Status, RankState State)
{
    /// <summary>Whether the process is gone though it had not said that it would.</summary>
    public bool HasDied => Status == "running" && Process.IsHere && !Process.IsAlive;

    /// <summary>A clause about the rank.</summary>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"rank {Rank} (process {Process.Id} on {Process.Host}) {(HasDied ? "died in" : Status == "running" ? "is in" : $"{Status} in")} {State} since {State.Since:HH:mm:ss.f} UTC");
}
