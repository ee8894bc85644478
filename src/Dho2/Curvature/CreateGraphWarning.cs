using System;
using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Curvature;

/// <summary>
/// Spares users a line on the error stream. The first <c>backward</c> of a process that is to be differentiated again makes
/// libtorch warn, once, of leaves and graphs that keep each other alive, which <see cref="StageGraph"/> sees to. There is no
/// such warning from <c>autograd.grad</c>, but its errors end the process. So the first such call is made here, on two
/// numbers, while this thread's warnings go nowhere (the handler is the thread's own: c10/util/Exception.h).
/// </summary>
/// <remarks>Where the library does not have the functions under the names of the Itanium C++ ABI, the line stays.</remarks>
internal static unsafe class CreateGraphWarning
{
    private static readonly object Lock = new();
    private static bool given;

    /// <summary>Lets the process's warning pass unseen, if it has not been given yet.</summary>
    public static void GetOver()
    {
        lock (Lock)
        {
            if (given)
            {
                return;
            }

            given = true;
            if (!TryFind(out IntPtr set, out IntPtr get))
            {
                return;
            }

            // An object of a class with a virtual destructor (two entries) and one virtual method.
            void** methods = stackalloc void*[3];
            methods[0] = methods[1] = (delegate* unmanaged<void*, void>)&Destroy;
            methods[2] = (delegate* unmanaged<void*, void*, void>)&Process;
            void* handler = methods;
            void* before = ((delegate* unmanaged<void*>)get)();
            ((delegate* unmanaged<void*, void>)set)(&handler);
            try
            {
                WarnOnce();
            }
            finally
            {
                ((delegate* unmanaged<void*, void>)set)(before);
            }
        }
    }

    private static void WarnOnce()
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable grad = enable_grad();
        Tensor leaf = ones(1, requires_grad: true);
        autograd.backward([leaf * leaf], [ones(1)], retain_graph: true, create_graph: true, inputs: [leaf]);

        // What the warning is about.
        leaf.grad = null;
    }

    private static bool TryFind(out IntPtr set, out IntPtr get)
    {
        set = get = IntPtr.Zero;
        string? library = OperatingSystem.IsLinux() ? "libc10.so" : OperatingSystem.IsMacOS() ? "libc10.dylib" : null;
        return library is not null
            && NativeLibrary.TryLoad(library, out IntPtr c10)
            && NativeLibrary.TryGetExport(c10, "_ZN3c1012WarningUtils19set_warning_handlerEPNS_14WarningHandlerE", out set)
            && NativeLibrary.TryGetExport(c10, "_ZN3c1012WarningUtils19get_warning_handlerEv", out get);
    }

    [UnmanagedCallersOnly]
    private static void Destroy(void* handler)
    {
    }

    [UnmanagedCallersOnly]
    private static void Process(void* handler, void* warning)
    {
    }
}
