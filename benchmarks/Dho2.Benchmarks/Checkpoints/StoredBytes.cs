using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Runtime.InteropServices;
using System.Threading.Tasks;
using Dho2.Checkpoints;
using Microsoft.Win32.SafeHandles;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Benchmarks.Checkpoints;

/// <summary>A checkpoint's bytes without anything around them, stage by stage: what is to be written, read or copied at the least.</summary>
internal sealed class StoredBytes : IDisposable
{
    private const int Piece = 8 << 20;

    private readonly (string Path, byte[] Bytes)[][] stages;
    private readonly (Tensor From, Tensor To)[][] copies;

    private StoredBytes((string, byte[])[][] stages, (Tensor, Tensor)[][] copies)
    {
        this.stages = stages;
        this.copies = copies;
    }

    /// <summary>Bytes of all files.</summary>
    public long Total => stages.Sum(files => files.Sum(f => f.Bytes.LongLength));

    /// <summary>Takes a checkpoint's files into memory.</summary>
    public static StoredBytes Of(string path)
    {
        CheckpointFolder folder = CheckpointFolder.Open(path);
        IGrouping<int, StoredFile>[] stages = [.. folder.Manifest.Files.GroupBy(f => f.Stage).OrderBy(g => g.Key)];
        return new StoredBytes(
            [.. stages.Select(files => files.Select(f => (folder.PathOf(f), File.ReadAllBytes(folder.PathOf(f)))).ToArray())],
            [.. stages.Select(files => files.SelectMany(f => Vectors(folder, f)).ToArray())]);
    }

    /// <summary>Writes the files to a folder and waits until they have reached the disk, one thread for each stage.</summary>
    public void Write(string folder)
    {
        Directory.CreateDirectory(folder);
        Parallel.ForEach(stages, files =>
        {
            foreach ((string path, byte[] bytes) in files)
            {
                using SafeFileHandle handle = File.OpenHandle(Path.Combine(folder, Path.GetFileName(path)), FileMode.CreateNew, FileAccess.Write);
                for (int at = 0; at < bytes.Length; at += Piece)
                {
                    RandomAccess.Write(handle, bytes.AsSpan(at, Math.Min(Piece, bytes.Length - at)), at);
                }

                RandomAccess.FlushToDisk(handle);
            }
        });
    }

    /// <summary>Reads the files into memory that nothing has touched before, one thread for each stage: what a loaded model lies in.</summary>
    public unsafe void Read() => Parallel.ForEach(stages, files =>
    {
        foreach ((string path, byte[] bytes) in files)
        {
            using SafeFileHandle handle = File.OpenHandle(path);
            byte* memory = (byte*)NativeMemory.Alloc((nuint)bytes.Length);
            for (int at = 0; at < bytes.Length; at += Piece)
            {
                RandomAccess.Read(handle, new Span<byte>(memory + at, Math.Min(Piece, bytes.Length - at)), at);
            }

            NativeMemory.Free(memory);
        }
    });

    /// <summary>Copies as many vectors of the same lengths from memory to memory, one thread for each stage.</summary>
    public void Copy() => Parallel.ForEach(copies, vectors =>
    {
        set_num_threads(1);
        foreach ((Tensor from, Tensor to) in vectors)
        {
            to.copy_(from);
        }
    });

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach ((Tensor from, Tensor to) in copies.SelectMany(vectors => vectors))
        {
            from.Dispose();
            to.Dispose();
        }
    }

    // A rank's vectors are flat: the tensors that a file has of one component are one of them.
    private static IEnumerable<(Tensor From, Tensor To)> Vectors(CheckpointFolder folder, StoredFile stored)
    {
        using SafetensorsFile file = SafetensorsFile.Open(folder.PathOf(stored));
        return
        [
            .. file.Entries.GroupBy(e => stored.Kind == StoredKind.Weights ? "" : StateKey.Parse(e.Name).Path.Split('/')[0])
                .Select(g => (ones(g.Sum(e => e.Bytes), uint8).DetachFromDisposeScope(), ones(g.Sum(e => e.Bytes), uint8).DetachFromDisposeScope())),
        ];
    }
}
