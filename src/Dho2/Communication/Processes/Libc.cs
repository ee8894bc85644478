using System;
using System.Runtime.InteropServices;

namespace Dho2.Communication;

/// <summary>The few functions of the C library that .NET has no equal for.</summary>
internal static unsafe partial class Libc
{
    private const int LoadNow = 2;
    private const int LoadGlobal = 0x100;
    private const int ProcessorsOnline = 84;

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

    /// <summary>Sleeps for less than a tick of the scheduler's clock.</summary>
    public static void SleepMicroseconds(uint microseconds) => _ = USleep(microseconds);

    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetEnv(string name, string value, int overwrite);

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
}
