using System;
using System.IO;
using TorchSharp;

namespace Dho2.Communication;

/// <summary>Which device a rank's tensors live on: the GPU of its number on its machine, or the CPU.</summary>
internal static class DevicePlacement
{
    /// <summary>The device of a rank.</summary>
    /// <param name="localRank">The rank's number on its machine; more ranks than GPUs share them in turn.</param>
    /// <param name="options">The resolved options.</param>
    /// <exception cref="CommunicationException">A GPU was asked for, and libtorch finds none.</exception>
    public static torch.Device For(int localRank, WorldOptions options)
    {
        int devices = options.Device == "cpu" || (options.Device == "auto" && !HasDriver) ? 0 : CountDevices();
        return devices > 0 ? new torch.Device(DeviceType.CUDA, localRank % devices)
            : options.Device != "cuda" ? torch.CPU
            : throw new CommunicationException("DHO2_DEVICE asks for cuda, but this libtorch finds no GPU: it is the CPU build, or the machine has no NVIDIA driver.");
    }

    // Asking a libtorch of the CPU for its GPUs makes TorchSharp look for other libraries: not where there cannot be any.
    private static bool HasDriver => File.Exists("/dev/nvidiactl") || File.Exists("/dev/dxg");

    private static int CountDevices()
    {
        try
        {
            return torch.cuda.is_available() ? torch.cuda.device_count() : 0;
        }
        catch (NotSupportedException)
        {
            return 0;
        }
    }
}
