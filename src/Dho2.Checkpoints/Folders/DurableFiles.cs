using System;
using System.IO;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Dho2.Checkpoints;

/// <summary>What makes files and their names outlive a loss of power.</summary>
internal static partial class DurableFiles
{
    /// <summary>Writes a new file and waits until it has reached the disk.</summary>
    public static void Write(string path, ReadOnlySpan<byte> bytes)
    {
        using SafeFileHandle handle = File.OpenHandle(path, FileMode.CreateNew, FileAccess.Write, FileShare.None, FileOptions.None, bytes.Length);
        RandomAccess.Write(handle, bytes, 0);
        RandomAccess.FlushToDisk(handle);
    }

    /// <summary>Waits until the names in a folder have reached the disk. Windows has no such call, and journals names by itself.</summary>
    public static void FlushFolder(string path)
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        const int readOnly = 0;
        int descriptor = Open(path, readOnly);
        if (descriptor < 0)
        {
            throw new IOException($"The folder cannot be opened: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}.");
        }

        // File systems that have no such call say that they do not (EINVAL): nothing can be done there.
        const int invalid = 22;
        bool flushed = FSync(descriptor) == 0 || Marshal.GetLastPInvokeError() == invalid;
        int error = Marshal.GetLastPInvokeError();
        Close(descriptor);
        if (!flushed)
        {
            throw new IOException($"The folder cannot be flushed: {Marshal.GetPInvokeErrorMessage(error)}.");
        }
    }

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int FSync(int descriptor);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int descriptor);
}
