using System;
using System.Diagnostics;
using Dho2.Communication;

namespace Dho2;

/// <summary>Resident memory of this process, from when the object was made on.</summary>
internal sealed class ResidentMemory
{
    private readonly long peakBefore;
    private long seen;

    /// <summary>Begins.</summary>
    /// <param name="settles">
    /// Whether free memory is given back first. What was in use before and is free again, such as of reading data, would else be
    /// used anew without being seen.
    /// </param>
    public ResidentMemory(bool settles)
    {
        if (settles)
        {
            GC.Collect();
            Libc.ReleaseFreeMemory();
        }

        using Process self = Process.GetCurrentProcess();
        Baseline = self.WorkingSet64;
        peakBefore = self.PeakWorkingSet64;
        seen = Baseline;
    }

    /// <summary>Bytes at the beginning.</summary>
    public long Baseline { get; }

    /// <summary>Bytes now, and the most since the beginning.</summary>
    public (long Resident, long Peak) Sample()
    {
        using Process self = Process.GetCurrentProcess();
        long resident = self.WorkingSet64;
        seen = Math.Max(seen, resident);

        // The system's own peak is exact, but may be of what was before.
        long peak = self.PeakWorkingSet64;
        return (resident, peak > peakBefore ? Math.Max(peak, seen) : seen);
    }
}
