using System;
using System.Runtime.InteropServices;
using TorchSharp;

namespace Dho2.Pipelines;

/// <summary>
/// Tells whether two handles are one tensor. Handles themselves do not: modules that TorchSharp keeps on the native side
/// make a new one each time they are asked for a parameter.
/// </summary>
internal static partial class TensorIdentity
{
    /// <summary>The same for two handles where they have the same elements.</summary>
    /// <param name="tensor">A tensor, with its own storage or a view.</param>
    public static (IntPtr Storage, long Offset) Of(torch.Tensor tensor)
    {
        using DisposeScope scope = torch.NewDisposeScope();

        // Asked for another type than the tensor's own, TorchSharp gives the storage of a converted copy.
        IntPtr storage = tensor.dtype switch
        {
            torch.ScalarType.Float32 => tensor.storage<float>().data_ptr(),
            torch.ScalarType.Float64 => tensor.storage<double>().data_ptr(),
            torch.ScalarType.Int64 => tensor.storage<long>().data_ptr(),
            torch.ScalarType.BFloat16 or torch.ScalarType.Float16 => StorageOf(tensor.Handle),
            _ => IntPtr.Zero,
        };
        return storage == IntPtr.Zero ? (tensor.Handle, -1) : (storage, tensor.storage_offset());
    }

    // TorchSharp has no storage of a type that C# does not have.
    [LibraryImport("LibTorchSharp", EntryPoint = "THSStorage_data_ptr")]
    private static partial IntPtr StorageOf(IntPtr tensor);
}
