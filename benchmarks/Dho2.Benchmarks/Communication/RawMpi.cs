using System;
using System.Runtime.InteropServices;
using TorchSharp;

namespace Dho2.Benchmarks.Communication;

/// <summary>The MPI library itself.</summary>
internal sealed unsafe class RawMpi : RawTransport
{
    private readonly delegate* unmanaged<void*, int, IntPtr, int, int, IntPtr, int> send;
    private readonly delegate* unmanaged<void*, int, IntPtr, int, int, IntPtr, void*, int> receive;
    private readonly delegate* unmanaged<void*, void*, int, IntPtr, IntPtr, IntPtr, int> allReduce;
    private readonly IntPtr world;
    private readonly IntPtr type;
    private readonly IntPtr sum;
    private readonly IntPtr inPlace;
    private readonly IntPtr statusIgnore;

    private RawMpi(IntPtr library)
    {
        send = (delegate* unmanaged<void*, int, IntPtr, int, int, IntPtr, int>)NativeLibrary.GetExport(library, "MPI_Send");
        receive = (delegate* unmanaged<void*, int, IntPtr, int, int, IntPtr, void*, int>)NativeLibrary.GetExport(library, "MPI_Recv");
        allReduce = (delegate* unmanaged<void*, void*, int, IntPtr, IntPtr, IntPtr, int>)NativeLibrary.GetExport(library, "MPI_Allreduce");
        bool open = NativeLibrary.TryGetExport(library, "ompi_mpi_comm_world", out world);
        world = open ? world : 0x44000000;
        type = open ? NativeLibrary.GetExport(library, "ompi_mpi_float") : 0x4c00040a;
        sum = open ? NativeLibrary.GetExport(library, "ompi_mpi_op_sum") : 0x58000003;
        inPlace = open ? 1 : -1;
        statusIgnore = open ? 0 : 1;
    }

    public override bool CanReduce => true;

    /// <summary>The library that this process's launcher goes with; null if no MPI's has started it.</summary>
    public static RawMpi? TryLoad()
    {
        bool open = !string.IsNullOrEmpty(Environment.GetEnvironmentVariable("OMPI_COMM_WORLD_SIZE"));
        bool mpich = !open && !string.IsNullOrEmpty(Environment.GetEnvironmentVariable("PMI_SIZE"));
        string[] files = open ? ["libmpi.so.40"] : mpich ? ["libmpi.so.12", "libmpich.so.12"] : [];
        foreach (string file in files)
        {
            if (NativeLibrary.TryLoad(file, out IntPtr library))
            {
                return new RawMpi(library);
            }
        }

        return null;
    }

    public override void PingPong(torch.Tensor tensor, torch.Tensor received, int other)
    {
        fixed (byte* address = tensor.bytes, place = received.bytes)
        {
            int count = (int)tensor.numel();
            if (other == 1)
            {
                send(address, count, type, other, 0, world);
                receive(place, count, type, other, 0, world, (void*)statusIgnore);
            }
            else
            {
                receive(place, count, type, other, 0, world, (void*)statusIgnore);
                send(address, count, type, other, 0, world);
            }
        }
    }

    public override void AllReduce(torch.Tensor tensor)
    {
        fixed (byte* address = tensor.bytes)
        {
            allReduce((void*)inPlace, address, (int)tensor.numel(), type, sum, world);
        }
    }
}
