using System;
using System.Runtime.InteropServices;

namespace Dho2.EndToEnd.Tests;

/// <summary>A test of something that exists on Linux x64 alone.</summary>
internal sealed class LinuxX64FactAttribute : FactAttribute
{
    public LinuxX64FactAttribute()
    {
        if (!OperatingSystem.IsLinux() || RuntimeInformation.ProcessArchitecture != Architecture.X64)
        {
            Skip = "The build step patches TorchSharp's native library of Linux x64 alone, and this is another system.";
        }
    }
}
