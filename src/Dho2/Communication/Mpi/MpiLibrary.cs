using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.InteropServices;
using System.Text;

namespace Dho2.Communication.Mpi;

/// <summary>
/// The functions and handles of the MPI library that is installed, through its C interface. All handles are kept as wide
/// as a pointer: OpenMPI's are addresses, MPICH's are 32-bit integers, and what is called looks at its own width only.
/// </summary>
internal sealed unsafe class MpiLibrary
{
    public const int ThreadSerialized = 2;
    public const int ThreadMultiple = 3;
    private const int TextSize = 8192;

    private readonly IntPtr library;

    private MpiLibrary(IntPtr library, string file)
    {
        this.library = library;
        File = file;
        InitThread = (delegate* unmanaged<IntPtr, IntPtr, int, int*, int>)Function("MPI_Init_thread");
        Finalize = (delegate* unmanaged<int>)Function("MPI_Finalize");
        Abort = (delegate* unmanaged<IntPtr, int, int>)Function("MPI_Abort");
        CommRank = (delegate* unmanaged<IntPtr, int*, int>)Function("MPI_Comm_rank");
        CommSize = (delegate* unmanaged<IntPtr, int*, int>)Function("MPI_Comm_size");
        CommIdup = (delegate* unmanaged<IntPtr, IntPtr*, IntPtr*, int>)Function("MPI_Comm_idup");
        CommSplit = (delegate* unmanaged<IntPtr, int, int, IntPtr*, int>)Function("MPI_Comm_split");
        CommFree = (delegate* unmanaged<IntPtr*, int>)Function("MPI_Comm_free");
        CommSetErrhandler = (delegate* unmanaged<IntPtr, IntPtr, int>)Function("MPI_Comm_set_errhandler");
        Isend = (delegate* unmanaged<void*, int, IntPtr, int, int, IntPtr, IntPtr*, int>)Function("MPI_Isend");
        Irecv = (delegate* unmanaged<void*, int, IntPtr, int, int, IntPtr, IntPtr*, int>)Function("MPI_Irecv");
        Test = (delegate* unmanaged<IntPtr*, int*, void*, int>)Function("MPI_Test");
        Cancel = (delegate* unmanaged<IntPtr*, int>)Function("MPI_Cancel");
        RequestFree = (delegate* unmanaged<IntPtr*, int>)Function("MPI_Request_free");
        Iallreduce = (delegate* unmanaged<void*, void*, int, IntPtr, IntPtr, IntPtr, IntPtr*, int>)Function("MPI_Iallreduce");
        Ibcast = (delegate* unmanaged<void*, int, IntPtr, int, IntPtr, IntPtr*, int>)Function("MPI_Ibcast");
        Iallgather = (delegate* unmanaged<void*, int, IntPtr, void*, int, IntPtr, IntPtr, IntPtr*, int>)Function("MPI_Iallgather");
        errorString = (delegate* unmanaged<int, byte*, int*, int>)Function("MPI_Error_string");
        getLibraryVersion = (delegate* unmanaged<byte*, int*, int>)Function("MPI_Get_library_version");

        if (IsOpenMpi)
        {
            World = Exported("ompi_mpi_comm_world");
            Byte = Exported("ompi_mpi_byte");
            Float32 = Exported("ompi_mpi_float");
            Float64 = Exported("ompi_mpi_double");
            Int32 = Exported("ompi_mpi_int32_t");
            Int64 = Exported("ompi_mpi_int64_t");
            Sum = Exported("ompi_mpi_op_sum");
            Max = Exported("ompi_mpi_op_max");
            ErrorsReturn = Exported("ompi_mpi_errors_return");
            RequestNull = Exported("ompi_request_null");
            InPlace = 1;
            StatusIgnore = 0;
            AnySource = -1;
        }
        else
        {
            // The ABI that MPICH, Intel MPI, MVAPICH and Cray MPI have agreed on.
            World = 0x44000000;
            Byte = 0x4c00010d;
            Float32 = 0x4c00040a;
            Float64 = 0x4c00080b;
            Int32 = 0x4c000405;
            Int64 = 0x4c00083a;
            Sum = 0x58000003;
            Max = 0x58000001;
            ErrorsReturn = 0x54000001;
            RequestNull = 0x2c000000;
            InPlace = -1;
            StatusIgnore = 1;
            AnySource = -2;
        }
    }

    /// <summary>The file that was loaded.</summary>
    public string File { get; }

    /// <summary>Whether the library has OpenMPI's ABI; else it has MPICH's.</summary>
    public bool IsOpenMpi => NativeLibrary.TryGetExport(library, "ompi_mpi_comm_world", out _);

    public IntPtr World { get; }

    public IntPtr Byte { get; }

    public IntPtr Float32 { get; }

    public IntPtr Float64 { get; }

    public IntPtr Int32 { get; }

    public IntPtr Int64 { get; }

    public IntPtr Sum { get; }

    public IntPtr Max { get; }

    public IntPtr ErrorsReturn { get; }

    public IntPtr RequestNull { get; }

    public IntPtr InPlace { get; }

    public IntPtr StatusIgnore { get; }

    public int AnySource { get; }

    // Types as in the MPI standard, all handles pointer-sized.
    public delegate* unmanaged<IntPtr, IntPtr, int, int*, int> InitThread { get; }

    public delegate* unmanaged<int> Finalize { get; }

    public delegate* unmanaged<IntPtr, int, int> Abort { get; }

    public delegate* unmanaged<IntPtr, int*, int> CommRank { get; }

    public delegate* unmanaged<IntPtr, int*, int> CommSize { get; }

    public delegate* unmanaged<IntPtr, IntPtr*, IntPtr*, int> CommIdup { get; }

    public delegate* unmanaged<IntPtr, int, int, IntPtr*, int> CommSplit { get; }

    public delegate* unmanaged<IntPtr*, int> CommFree { get; }

    public delegate* unmanaged<IntPtr, IntPtr, int> CommSetErrhandler { get; }

    public delegate* unmanaged<void*, int, IntPtr, int, int, IntPtr, IntPtr*, int> Isend { get; }

    public delegate* unmanaged<void*, int, IntPtr, int, int, IntPtr, IntPtr*, int> Irecv { get; }

    public delegate* unmanaged<IntPtr*, int*, void*, int> Test { get; }

    public delegate* unmanaged<IntPtr*, int> Cancel { get; }

    public delegate* unmanaged<IntPtr*, int> RequestFree { get; }

    public delegate* unmanaged<void*, void*, int, IntPtr, IntPtr, IntPtr, IntPtr*, int> Iallreduce { get; }

    public delegate* unmanaged<void*, int, IntPtr, int, IntPtr, IntPtr*, int> Ibcast { get; }

    public delegate* unmanaged<void*, int, IntPtr, void*, int, IntPtr, IntPtr, IntPtr*, int> Iallgather { get; }

    private readonly delegate* unmanaged<int, byte*, int*, int> errorString;
    private readonly delegate* unmanaged<byte*, int*, int> getLibraryVersion;

    /// <summary>Loads the library that fits the launcher, or the other one if only that is there.</summary>
    /// <param name="preferOpenMpi">Whether OpenMPI's launcher has started this process, rather than one that MPICH understands.</param>
    /// <param name="launcher">The launcher, for messages.</param>
    /// <exception cref="CommunicationException">There is no library; the message names the package to install.</exception>
    public static MpiLibrary Load(bool preferOpenMpi, string launcher)
    {
        string? chosen = Environment.GetEnvironmentVariable("DHO2_MPI_LIBRARY");
        string[] openMpi = ["libmpi.so.40", "libmpi.so.80"];
        string[] mpich = ["libmpi.so.12", "libmpich.so.12", "libmpi.so.0"];
        IEnumerable<string> candidates = chosen is { Length: > 0 } ? [chosen] : preferOpenMpi ? openMpi : mpich;

        // MPICH's UCX takes over the signal that .NET's null checks are made of, unless the C environment forbids it; the
        // managed environment never reaches the C one.
        Libc.SetEnvironment("UCX_HANDLE_ERRORS", "none");
        foreach (string candidate in candidates)
        {
            // With global symbols, because OpenMPI's own plug-ins look for them.
            IntPtr handle = Libc.LoadGlobally(candidate);
            if (handle != IntPtr.Zero)
            {
                try
                {
                    return new MpiLibrary(handle, candidate);
                }
                catch (EntryPointNotFoundException missing)
                {
                    throw new CommunicationException($"{candidate} is no MPI 3 library: {missing.Message}", missing);
                }
            }
        }

        throw new CommunicationException(chosen is { Length: > 0 }
            ? $"DHO2_MPI_LIBRARY names {chosen}, which cannot be loaded: {Libc.LastLoadError()}"
            : $"This process was started by {launcher}, but {string.Join(" or ", candidates)} cannot be loaded: install the package {(preferOpenMpi ? "openmpi-bin" : "mpich")} (Debian, Ubuntu; elsewhere {(preferOpenMpi ? "OpenMPI" : "MPICH or Intel MPI")}), or name the library in DHO2_MPI_LIBRARY.");
    }

    /// <summary>The library's own description, its first line.</summary>
    public string Version() => Description() is { Length: > 0 } text ? text.Split('\n', ',')[0].Trim('\0', ' ') : "unknown version";

    /// <summary>All that the library says of itself; empty if it says nothing.</summary>
    public string Description()
    {
        byte* text = stackalloc byte[TextSize];
        int length;
        return getLibraryVersion(text, &length) == 0 ? Encoding.UTF8.GetString(text, length) : "";
    }

    /// <summary>What an error code means.</summary>
    public string Describe(int code)
    {
        byte* text = stackalloc byte[TextSize];
        int length;
        return errorString(code, text, &length) == 0
            ? string.Join(" ", Encoding.UTF8.GetString(text, length).Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Take(3))
            : $"error {code}";
    }

    private IntPtr Function(string name) => NativeLibrary.GetExport(library, name);

    private IntPtr Exported(string name) => NativeLibrary.GetExport(library, name);
}
