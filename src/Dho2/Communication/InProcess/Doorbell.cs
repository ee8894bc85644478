using System;
using System.Diagnostics;
using System.Threading;

namespace Dho2.Communication;

/// <summary>
/// Where one rank waits for its peers. It spins for some ten microseconds, since most answers come that soon, and then
/// blocks, since a waiting rank must leave its core to the ranks that compute.
/// </summary>
internal sealed class Doorbell
{
    private const int Spins = 40;
    private readonly object gate = new();
    private volatile bool parked;

    /// <summary>Makes the waiting rank, if any, look at its condition again. Called after the change that it waits for.</summary>
    public void Ring()
    {
        // The waiter announces itself before it looks, the ringer changes before it reads the announcement: with a full
        // fence on both sides one of them must see the other.
        Interlocked.MemoryBarrier();
        if (parked)
        {
            lock (gate)
            {
                Monitor.PulseAll(gate);
            }
        }
    }

    /// <summary>Waits until the condition holds.</summary>
    /// <returns>Whether it came to hold within the timeout.</returns>
    public bool Wait<TState>(Func<TState, bool> condition, TState state, TimeSpan timeout)
    {
        var spinner = new SpinWait();
        for (int i = 0; i < Spins; i++)
        {
            if (condition(state))
            {
                return true;
            }

            spinner.SpinOnce(sleep1Threshold: -1);
        }

        long start = Stopwatch.GetTimestamp();
        lock (gate)
        {
            parked = true;
            Interlocked.MemoryBarrier();
            try
            {
                while (!condition(state))
                {
                    TimeSpan left = timeout - Stopwatch.GetElapsedTime(start);
                    if (left <= TimeSpan.Zero)
                    {
                        return false;
                    }

                    Monitor.Wait(gate, left);
                }

                return true;
            }
            finally
            {
                parked = false;
            }
        }
    }
}
