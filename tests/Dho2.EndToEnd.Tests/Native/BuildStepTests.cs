using System;
using System.Collections.Generic;
using System.IO;
using Dho2.Build;
using Dho2.Tests.Shared;

namespace Dho2.EndToEnd.Tests.Native;

/// <summary>The build's step around the patch: what it writes, what it leaves, and what it says.</summary>
public sealed class BuildStepTests : IDisposable
{
    private readonly DirectoryInfo folder = Directory.CreateDirectory(Path.Combine(AppContext.BaseDirectory, "step-" + Guid.NewGuid().ToString("N")));

    private string Copy => Path.Combine(folder.FullName, "copy.so");

    private static string Original => Path.Combine(BuildMetadata.Get("TorchSharpPackage"), "runtimes/linux-x64/native/libLibTorchSharp.so");

    public void Dispose() => folder.Delete(recursive: true);

    [LinuxX64Fact]
    public void Makes_a_copy_where_this_machine_needs_one_and_never_touches_the_original()
    {
        DateTime before = File.GetLastWriteTimeUtc(Original);
        byte[] content = File.ReadAllBytes(Original);
        bool isNeeded = !TorchSharpNative.ProvidedVersions(TorchSharpNative.FindCppLibrary()!).Contains(TorchSharpNative.NewVersion);

        (int exitCode, string output) = Run(Original);

        Assert.True(exitCode == 0, output);
        Assert.Equal(isNeeded, File.Exists(Copy));
        Assert.Equal(before, File.GetLastWriteTimeUtc(Original));
        Assert.True(content.AsSpan().SequenceEqual(File.ReadAllBytes(Original)));
    }

    [LinuxX64Fact]
    public void Refuses_what_it_does_not_recognise_and_leaves_no_copy()
    {
        string other = Path.Combine(folder.FullName, "other.so");
        File.WriteAllText(other, "no library at all, but longer than the header of one would have to be");
        File.WriteAllText(Copy, "left by an earlier build");

        (int exitCode, string output) = Run(other);

        Assert.NotEqual(0, exitCode);
        Assert.Contains(
            $"error : {other}: cannot be made loadable with an older libstdc++.so.6: it is no ELF file, expected 7f 45 4c 46 at offset 0. " +
            "Set the property Dho2PatchTorchSharp to false to build without this step.",
            output,
            StringComparison.Ordinal);
        Assert.False(File.Exists(Copy));
    }

    private (int ExitCode, string Output) Run(string original)
    {
        string project = Path.Combine(folder.FullName, "step.proj");
        File.WriteAllText(project, $"""
            <Project>
              <Import Project="{BuildMetadata.RepositoryPath("src/Dho2/build/TorchSharpNative.targets")}" />
              <Target Name="Step">
                <PatchTorchSharpNative Original="{original}" Copy="{Copy}" />
              </Target>
            </Project>
            """);
        return Dotnet.Run(folder.FullName, new Dictionary<string, string> { ["MSBUILDDISABLENODEREUSE"] = "1" }, "msbuild", "-nologo", "-t:Step", project);
    }
}
