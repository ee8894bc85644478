using System;
using System.Runtime.InteropServices;

namespace Dho2.Communication;

/// <summary>The few functions of the C library that .NET has no equal for.</summary>
internal static unsafe partial class Libc
{
    private const int LoadNow = 2;
    private const int LoadGlobal = 0x100;
    private const int ProcessorsOnline = 84;
    private const short Readable = 1;

    /// <summary>Sets a variable in the environment that C code sees, unless it is set.</summary>
    public static void SetEnvironment(string name, string value) => SetEnv(name, value, 0);

    /// <summary>Loads a library whose symbols those loaded later may use; 0 if it cannot be.</summary>
    public static IntPtr LoadGlobally(string file) => DlOpen(file, LoadNow | LoadGlobal);

    /// <summary>Why the last library could not be loaded.</summary>
    public static string LastLoadError() => Marshal.PtrToStringUTF8(DlError()) ?? "unknown reason";

    /// <summary>Ends the process at once: nothing that waits for other ranks is run.</summary>
    public static void ExitNow(int status) => Exit(status);

    /// <summary>The processors of the machine, whichever this process may use.</summary>
    public static long Processors() => SysConf(ProcessorsOnline);

    /// <summary>Gives memory back to the system that was allocated and is free again; does nothing where the C library is not glibc.</summary>
    public static void ReleaseFreeMemory()
    {
        if (OperatingSystem.IsLinux())
        {
            try
            {
                _ = MallocTrim(0);
            }
            catch (EntryPointNotFoundException)
            {
                // Of musl: it has no such function, and keeps little.
            }
        }
    }

    /// <summary>Sleeps for less than a tick of the scheduler's clock.</summary>
    public static void SleepMicroseconds(uint microseconds) => _ = USleep(microseconds);

    /// <summary>Whether all bytes could be written to a descriptor.</summary>
    public static bool Write(int descriptor, ReadOnlySpan<byte> bytes)
    {
        fixed (byte* start = bytes)
        {
            return WriteBytes(descriptor, start, bytes.Length) == bytes.Length;
        }
    }

    /// <summary>Whether as many bytes as asked for could be read from a descriptor at once.</summary>
    public static bool Read(int descriptor, Span<byte> bytes)
    {
        fixed (byte* start = bytes)
        {
            return ReadBytes(descriptor, start, bytes.Length) == bytes.Length;
        }
    }

    /// <summary>Whether a descriptor has something to read, its end included, within a limit.</summary>
    public static bool WaitForInput(int descriptor, TimeSpan limit)
    {
        var wanted = new PollDescriptor { Descriptor = descriptor, Events = Readable };
        return Poll(&wanted, 1, (int)Math.Ceiling(limit.TotalMilliseconds)) > 0;
    }

    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetEnv(string name, string value, int overwrite);

    [LibraryImport("libc", EntryPoint = "malloc_trim")]
    private static partial int MallocTrim(nuint kept);

    [LibraryImport("libc", EntryPoint = "dlopen", StringMarshalling = StringMarshalling.Utf8)]
    private static partial IntPtr DlOpen(string file, int flags);

    [LibraryImport("libc", EntryPoint = "dlerror")]
    private static partial IntPtr DlError();

    [LibraryImport("libc", EntryPoint = "_exit")]
    private static partial void Exit(int status);

    [LibraryImport("libc", EntryPoint = "sysconf")]
    private static partial long SysConf(int name);

    [LibraryImport("libc", EntryPoint = "usleep")]
    private static partial int USleep(uint microseconds);

    [LibraryImport("libc", EntryPoint = "write")]
    private static partial nint WriteBytes(int descriptor, byte* bytes, nint count);

    [LibraryImport("libc", EntryPoint = "read")]
    private static partial nint ReadBytes(int descriptor, byte* bytes, nint count);

    [LibraryImport("libc", EntryPoint = "poll")]
    private static partial int Poll(PollDescriptor* descriptors, nuint count, int milliseconds);

    private struct PollDescriptor
    {
        public int Descriptor;
        public short Events;
        public short Returned;
    }
}
