using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Runtime.InteropServices;
using TorchSharp;

namespace Dho2.Communication.Nccl;

/// <summary>The 128 bytes by which the ranks of a new communicator recognise one another.</summary>
internal unsafe struct NcclUniqueId
{
    public const int Size = 128;
    public fixed byte Bytes[Size];
}

/// <summary>
/// NCCL's C interface, version 2, and the few functions of the CUDA runtime that waiting with a timeout needs. Both are
/// looked for in what libtorch has loaded, since a second copy of NCCL in one process breaks grouped calls, and then by name.
/// </summary>
internal sealed unsafe class NcclLibrary
{
    /// <summary>Versions from here on have all that is called: 2.7 brought sends and receives.</summary>
    public const int LeastVersion = 2700;

    public const int Success = 0;
    public const int InProgress = 7;
    public const int Sum = 0;
    public const int Max = 2;
    private const int CudaNotReady = 600;
    private const uint NonBlockingStream = 1;

    private readonly delegate* unmanaged<int*, int> getVersion;
    private readonly delegate* unmanaged<NcclUniqueId*, int> getUniqueId;
    private readonly delegate* unmanaged<IntPtr*, int, NcclUniqueId, int, int> commInitRank;
    private readonly delegate* unmanaged<IntPtr, int> commDestroy;
    private readonly delegate* unmanaged<IntPtr, int> commAbort;
    private readonly delegate* unmanaged<IntPtr, int*, int> commGetAsyncError;
    private readonly delegate* unmanaged<int, byte*> getErrorString;
    private readonly delegate* unmanaged<IntPtr, IntPtr, nuint, int, int, IntPtr, IntPtr, int> allReduce;
    private readonly delegate* unmanaged<IntPtr, IntPtr, nuint, int, int, IntPtr, IntPtr, int> broadcast;
    private readonly delegate* unmanaged<IntPtr, IntPtr, nuint, int, IntPtr, IntPtr, int> allGather;
    private readonly delegate* unmanaged<IntPtr, IntPtr, nuint, int, int, IntPtr, IntPtr, int> reduceScatter;
    private readonly delegate* unmanaged<IntPtr, nuint, int, int, IntPtr, IntPtr, int> send;
    private readonly delegate* unmanaged<IntPtr, nuint, int, int, IntPtr, IntPtr, int> recv;
    private readonly delegate* unmanaged<int> groupStart;
    private readonly delegate* unmanaged<int> groupEnd;
    private readonly delegate* unmanaged<int, int> setDevice;
    private readonly delegate* unmanaged<IntPtr*, uint, int> streamCreate;
    private readonly delegate* unmanaged<IntPtr, int> streamQuery;
    private readonly delegate* unmanaged<IntPtr, int> streamDestroy;

    private NcclLibrary(string file, IntPtr nccl, IntPtr cuda)
    {
        File = file;
        IntPtr Nccl(string name) => NativeLibrary.GetExport(nccl, name);
        IntPtr Cuda(string name) => NativeLibrary.GetExport(cuda, name);
        getVersion = (delegate* unmanaged<int*, int>)Nccl("ncclGetVersion");
        getUniqueId = (delegate* unmanaged<NcclUniqueId*, int>)Nccl("ncclGetUniqueId");
        commInitRank = (delegate* unmanaged<IntPtr*, int, NcclUniqueId, int, int>)Nccl("ncclCommInitRank");
        commDestroy = (delegate* unmanaged<IntPtr, int>)Nccl("ncclCommDestroy");
        commAbort = (delegate* unmanaged<IntPtr, int>)Nccl("ncclCommAbort");
        commGetAsyncError = (delegate* unmanaged<IntPtr, int*, int>)Nccl("ncclCommGetAsyncError");
        getErrorString = (delegate* unmanaged<int, byte*>)Nccl("ncclGetErrorString");
        allReduce = (delegate* unmanaged<IntPtr, IntPtr, nuint, int, int, IntPtr, IntPtr, int>)Nccl("ncclAllReduce");
        broadcast = (delegate* unmanaged<IntPtr, IntPtr, nuint, int, int, IntPtr, IntPtr, int>)Nccl("ncclBroadcast");
        allGather = (delegate* unmanaged<IntPtr, IntPtr, nuint, int, IntPtr, IntPtr, int>)Nccl("ncclAllGather");
        reduceScatter = (delegate* unmanaged<IntPtr, IntPtr, nuint, int, int, IntPtr, IntPtr, int>)Nccl("ncclReduceScatter");
        send = (delegate* unmanaged<IntPtr, nuint, int, int, IntPtr, IntPtr, int>)Nccl("ncclSend");
        recv = (delegate* unmanaged<IntPtr, nuint, int, int, IntPtr, IntPtr, int>)Nccl("ncclRecv");
        groupStart = (delegate* unmanaged<int>)Nccl("ncclGroupStart");
        groupEnd = (delegate* unmanaged<int>)Nccl("ncclGroupEnd");
        setDevice = (delegate* unmanaged<int, int>)Cuda("cudaSetDevice");
        streamCreate = (delegate* unmanaged<IntPtr*, uint, int>)Cuda("cudaStreamCreateWithFlags");
        streamQuery = (delegate* unmanaged<IntPtr, int>)Cuda("cudaStreamQuery");
        streamDestroy = (delegate* unmanaged<IntPtr, int>)Cuda("cudaStreamDestroy");
        int version;
        Check(getVersion(&version), "ncclGetVersion");
        Version = version;
        if (version < LeastVersion)
        {
            throw new CommunicationException($"{file} is NCCL {version}, which has no sends and receives; {LeastVersion} (2.7) is the least.");
        }
    }

    /// <summary>The file that was found.</summary>
    public string File { get; }

    /// <summary>The version, such as 22105 for 2.21.5.</summary>
    public int Version { get; }

    /// <summary>Finds NCCL and the CUDA runtime, with libtorch first.</summary>
    /// <exception cref="CommunicationException">There is none; the message says where it was looked for.</exception>
    public static NcclLibrary Load()
    {
        if (Environment.GetEnvironmentVariable("DHO2_NCCL_LIBRARY") is { Length: > 0 } chosen)
        {
            return Load(chosen);
        }

        string[] mapped = MappedLibraries();
        IEnumerable<string> ncclFiles = mapped.Where(f => Name(f).Contains("nccl") || Name(f).Contains("torch_cuda")).Append("libnccl.so.2");
        IEnumerable<string> cudaFiles = mapped.Where(f => Name(f).Contains("cudart") || Name(f).Contains("torch_cuda")).Concat(["libcudart.so.13", "libcudart.so.12", "libcudart.so.11.0"]);
        (string ncclFile, IntPtr nccl) = First(ncclFiles, "ncclAllReduce");
        (_, IntPtr cuda) = First(cudaFiles, "cudaStreamQuery");
        if (nccl == IntPtr.Zero || cuda == IntPtr.Zero)
        {
            throw new CommunicationException(
                $"{(nccl == IntPtr.Zero ? "NCCL (libnccl.so.2)" : "The CUDA runtime (libcudart)")} is neither in the libtorch that is loaded nor on the library path: install the package libnccl2, or name the library in DHO2_NCCL_LIBRARY.");
        }

        return new NcclLibrary(ncclFile, nccl, cuda);
    }

    /// <summary>Takes NCCL and the CUDA runtime's functions from one file.</summary>
    /// <exception cref="CommunicationException">The file cannot be loaded, or lacks a function.</exception>
    public static NcclLibrary Load(string file)
    {
        try
        {
            IntPtr handle = NativeLibrary.Load(file);
            IntPtr cuda = handle;
            if (!NativeLibrary.TryGetExport(handle, "cudaStreamQuery", out _))
            {
                (_, cuda) = First(MappedLibraries().Where(f => Name(f).Contains("cudart")).Concat(["libcudart.so.13", "libcudart.so.12"]), "cudaStreamQuery");
            }

            return new NcclLibrary(file, handle, cuda);
        }
        catch (Exception e) when (e is DllNotFoundException or BadImageFormatException or EntryPointNotFoundException or ArgumentNullException)
        {
            throw new CommunicationException($"{file} cannot serve as NCCL: {e.Message}", e);
        }
    }

    /// <summary>NCCL's number for an element type; null where it has none.</summary>
    public static int? TypeOf(torch.ScalarType type) => type switch
    {
        torch.ScalarType.Int8 => 0,
        torch.ScalarType.Byte or torch.ScalarType.Bool => 1,
        torch.ScalarType.Int32 => 2,
        torch.ScalarType.Int64 => 4,
        torch.ScalarType.Float16 => 6,
        torch.ScalarType.Float32 => 7,
        torch.ScalarType.Float64 => 8,
        torch.ScalarType.BFloat16 => 9,
        _ => null,
    };

    /// <summary>Makes an identity for a new communicator.</summary>
    public NcclUniqueId NewId()
    {
        NcclUniqueId id;
        Check(getUniqueId(&id), "ncclGetUniqueId");
        return id;
    }

    /// <summary>Joins a communicator; waits for its other ranks.</summary>
    public IntPtr Join(NcclUniqueId id, int size, int rank)
    {
        IntPtr communicator;
        Check(commInitRank(&communicator, size, id, rank), "ncclCommInitRank");
        return communicator;
    }

    public void Destroy(IntPtr communicator) => commDestroy(communicator);

    /// <summary>Ends whatever a communicator does, on the device too.</summary>
    public void Abort(IntPtr communicator) => commAbort(communicator);

    public void AllReduce(IntPtr address, long count, int type, int operation, IntPtr communicator, IntPtr stream) =>
        Check(allReduce(address, address, (nuint)count, type, operation, communicator, stream), "ncclAllReduce");

    public void Broadcast(IntPtr address, long count, int type, int root, IntPtr communicator, IntPtr stream) =>
        Check(broadcast(address, address, (nuint)count, type, root, communicator, stream), "ncclBroadcast");

    public void AllGather(IntPtr from, IntPtr to, long count, int type, IntPtr communicator, IntPtr stream) =>
        Check(allGather(from, to, (nuint)count, type, communicator, stream), "ncclAllGather");

    public void ReduceScatter(IntPtr from, IntPtr to, long count, int type, IntPtr communicator, IntPtr stream) =>
        Check(reduceScatter(from, to, (nuint)count, type, Sum, communicator, stream), "ncclReduceScatter");

    public void Send(IntPtr address, long count, int type, int peer, IntPtr communicator, IntPtr stream) =>
        Check(send(address, (nuint)count, type, peer, communicator, stream), "ncclSend");

    public void Receive(IntPtr address, long count, int type, int peer, IntPtr communicator, IntPtr stream) =>
        Check(recv(address, (nuint)count, type, peer, communicator, stream), "ncclRecv");

    /// <summary>Issues calls as one group: none of them waits for another.</summary>
    public void Group(Action calls)
    {
        Check(groupStart(), "ncclGroupStart");
        try
        {
            calls();
        }
        finally
        {
            Check(groupEnd(), "ncclGroupEnd");
        }
    }

    /// <summary>What has gone wrong on a communicator since; null if nothing.</summary>
    public string? AsyncError(IntPtr communicator)
    {
        int error;
        int code = commGetAsyncError(communicator, &error);
        return code != Success ? Describe(code) : error is Success or InProgress ? null : Describe(error);
    }

    /// <summary>Makes the calling thread work on a device.</summary>
    public void UseDevice(int index) => CheckCuda(setDevice(index), "cudaSetDevice");

    /// <summary>A stream that does not wait for the default one.</summary>
    public IntPtr NewStream()
    {
        IntPtr stream;
        CheckCuda(streamCreate(&stream, NonBlockingStream), "cudaStreamCreateWithFlags");
        return stream;
    }

    public void DestroyStream(IntPtr stream) => streamDestroy(stream);

    /// <summary>Whether all work on a stream is done.</summary>
    public bool IsDone(IntPtr stream)
    {
        int code = streamQuery(stream);
        if (code != CudaNotReady)
        {
            CheckCuda(code, "cudaStreamQuery");
        }

        return code == 0;
    }

    private void Check(int code, string call)
    {
        if (code is not (Success or InProgress))
        {
            throw new CommunicationException($"{call} failed: {Describe(code)}");
        }
    }

    private static void CheckCuda(int code, string call)
    {
        if (code != 0)
        {
            throw new CommunicationException($"{call} failed with CUDA error {code}.");
        }
    }

    private string Describe(int code) => $"{Marshal.PtrToStringUTF8((IntPtr)getErrorString(code))} ({code})";

    private static string Name(string file) => Path.GetFileName(file);

    private static (string File, IntPtr Handle) First(IEnumerable<string> files, string export)
    {
        foreach (string file in files)
        {
            if (NativeLibrary.TryLoad(file, out IntPtr handle) && NativeLibrary.TryGetExport(handle, export, out _))
            {
                return (file, handle);
            }
        }

        return (string.Empty, IntPtr.Zero);
    }

    private static string[] MappedLibraries()
    {
        try
        {
            return [.. System.IO.File.ReadLines("/proc/self/maps")
                .Select(line => line.IndexOf('/') is >= 0 and int at ? line[at..] : string.Empty)
                .Where(f => f.Contains(".so", StringComparison.Ordinal))
                .Distinct()];
        }
        catch (IOException)
        {
            return [];
        }
    }
}
