using System;
using System.Runtime.InteropServices;
using TorchSharp;

namespace Dho2.Communication;

/// <summary>Where tensors lie, on whatever device.</summary>
internal static partial class DeviceMemory
{
    /// <summary>The address of a contiguous tensor's first element, a view's offset included.</summary>
    public static IntPtr AddressOf(torch.Tensor tensor)
    {
        IntPtr address = Data(tensor.Handle);
        GC.KeepAlive(tensor);
        return address;
    }

    // TorchSharp reads elements through it, but lets nobody else do so where they are not in host memory.
    [LibraryImport("LibTorchSharp", EntryPoint = "THSTensor_data")]
    private static partial IntPtr Data(IntPtr handle);
}
