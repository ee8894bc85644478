using System;
using System.Collections.Generic;
using System.Linq;

namespace Dho2.Planning;

/// <summary>
/// A device as the planner prices work on it. The figures are the maker's peaks, which nothing reaches; they are there to weigh
/// stages against each other, not to foretell seconds. Whole numbers, so that every host makes the same plan.
/// </summary>
/// <param name="Name">The name that <c>[Device(Name = ...)]</c> takes.</param>
/// <param name="MemoryBytes">Bytes of memory; 0 where the profile says nothing about it.</param>
/// <param name="FlopsPerMicrosecond">Floating-point operations in single precision.</param>
/// <param name="MemoryPerMicrosecond">Bytes between processor and memory.</param>
/// <param name="LinkPerMicrosecond">Bytes between neighbouring devices, one way.</param>
public sealed record DeviceProfile(string Name, long MemoryBytes, long FlopsPerMicrosecond, long MemoryPerMicrosecond, long LinkPerMicrosecond)
{
    private const long GiB = 1L << 30;

    /// <summary>What is assumed where no device is named: 10 TFLOPS, 1 TB/s of memory, 25 GB/s of link.</summary>
    public static DeviceProfile Default { get; } = new("default", 0, 10_000_000, 1_000_000, 25_000);

    /// <summary>
    /// The devices that have a name: memory, non-tensor FP32 rate and memory rate by the makers' data sheets; the link is
    /// PCI Express (4.0 x16: 25 GB/s, 5.0 x16: 50 GB/s in practice), or NVLink for the SXM modules that have it.
    /// </summary>
    public static IReadOnlyList<DeviceProfile> Named { get; } =
    [
        new("T4", 16 * GiB, 8_100_000, 320_000, 12_000),
        new("V100-16GB", 16 * GiB, 15_700_000, 900_000, 150_000),
        new("V100-32GB", 32 * GiB, 15_700_000, 900_000, 150_000),
        new("P100-16GB", 16 * GiB, 9_300_000, 732_000, 12_000),
        new("RTX3090-24GB", 24 * GiB, 35_600_000, 936_000, 25_000),
        new("RTX4090-24GB", 24 * GiB, 82_600_000, 1_008_000, 25_000),
        new("RTX5090-32GB", 32 * GiB, 104_800_000, 1_792_000, 50_000),
        new("A10-24GB", 24 * GiB, 31_200_000, 600_000, 25_000),
        new("A40-48GB", 48 * GiB, 37_400_000, 696_000, 25_000),
        new("L4-24GB", 24 * GiB, 30_300_000, 300_000, 25_000),
        new("L40S-48GB", 48 * GiB, 91_600_000, 864_000, 25_000),
        new("A100-40GB", 40 * GiB, 19_500_000, 1_555_000, 300_000),
        new("A100-80GB", 80 * GiB, 19_500_000, 2_039_000, 300_000),
        new("H100-80GB", 80 * GiB, 66_900_000, 3_350_000, 450_000),
        new("H200-141GB", 141 * GiB, 66_900_000, 4_800_000, 450_000),
        new("B200-180GB", 180 * GiB, 75_000_000, 7_700_000, 900_000),
        new("MI250X-64GB", 64 * GiB, 23_900_000, 1_638_000, 50_000),
        new("MI300X-192GB", 192 * GiB, 163_400_000, 5_300_000, 50_000),
    ];

    /// <summary>A named device, whatever the case of its letters; null where the table has none.</summary>
    public static DeviceProfile? Find(string name) =>
        Named.FirstOrDefault(profile => string.Equals(profile.Name, name.Trim(), StringComparison.OrdinalIgnoreCase));

    /// <summary>Picoseconds for an operation: its arithmetic or the movement of its memory, whichever takes longer.</summary>
    internal long TimeOf(long work, long bytes) => Math.Max(Picoseconds(work, FlopsPerMicrosecond), Picoseconds(bytes, MemoryPerMicrosecond));

    /// <summary>Picoseconds to send so many bytes to a neighbour.</summary>
    internal long SendTimeOf(long bytes) => Picoseconds(bytes, LinkPerMicrosecond);

    private static long Picoseconds(long amount, long perMicrosecond)
    {
        decimal time = decimal.Ceiling((decimal)amount * 1_000_000 / perMicrosecond);
        return time > long.MaxValue / 1_000_000 ? long.MaxValue / 1_000_000 : (long)time;
    }
}
