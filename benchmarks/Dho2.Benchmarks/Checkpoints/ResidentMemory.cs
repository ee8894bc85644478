using System;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Runtime.InteropServices;

namespace Dho2.Benchmarks.Checkpoints;

/// <summary>The kernel's count of this process's resident memory.</summary>
internal static partial class ResidentMemory
{
    /// <summary>Does something.</summary>
    /// <returns>The most bytes while it was done, and those after it, both over what there was before; null where the system does not count.</returns>
    public static (long Peak, long Left)? Of(Action action)
    {
        if (!File.Exists("/proc/self/clear_refs"))
        {
            action();
            return null;
        }

        Settle();
        File.WriteAllText("/proc/self/clear_refs", "5");
        long before = Read("VmRSS:");
        action();
        long peak = Read("VmHWM:");
        Settle();
        return (peak - before, Read("VmRSS:") - before);
    }

    private static void Settle()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        GC.Collect();
        Trim(0);
    }

    [LibraryImport("libc", EntryPoint = "malloc_trim")]
    private static partial int Trim(nuint padding);

    private static long Read(string name) =>
        1024 * long.Parse(
            File.ReadLines("/proc/self/status").First(line => line.StartsWith(name, StringComparison.Ordinal))[name.Length..].Trim().Split(' ')[0],
            CultureInfo.InvariantCulture);
}
