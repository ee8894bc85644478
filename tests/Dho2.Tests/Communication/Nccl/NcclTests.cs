using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Threading;
using Dho2.Communication;
using Dho2.Communication.Nccl;
using Dho2.Tests.Shared;
using TorchSharp;
using Xunit.Sdk;

namespace Dho2.Tests.Communication;

/// <summary>NCCL through a library of the same interface that is built here: for signatures, numbers and the order of calls, not for a device.</summary>
public sealed class NcclTests
{
    private static readonly Type[] Classes = [typeof(CollectiveTests), typeof(PointToPointTests), typeof(FailureTests)];

    public static TheoryData<string, bool> Contract()
    {
        var data = new TheoryData<string, bool>();
        foreach (MethodInfo method in Classes.SelectMany(type => type.GetMethods()).Where(m => m.GetCustomAttribute<FactAttribute>() is not null))
        {
            data.Add($"{method.DeclaringType!.Name}.{method.Name}", false);
            data.Add($"{method.DeclaringType!.Name}.{method.Name}", true);
        }

        return data;
    }

    [StubTheory]
    [MemberData(nameof(Contract))]
    public void EveryTestOfCommunicatorsHolds(string name, bool deterministic)
    {
        MethodInfo method = Classes.Select(type => name.StartsWith(type.Name + ".", StringComparison.Ordinal) ? type.GetMethod(name[(type.Name.Length + 1)..]) : null).OfType<MethodInfo>().Single();
        DataAttribute[] sources = [.. method.GetCustomAttributes<DataAttribute>()];
        IEnumerable<object?[]> rows = sources.Length == 0 ? [[]] : sources.SelectMany(source => source.GetData(method));
        var nccl = NcclLibrary.Load(Stub.Path);
        Ranks.Wrap = host => new NcclCommunicator(host, nccl, torch.CPU, deterministic);
        try
        {
            foreach (object?[] row in rows)
            {
                method.Invoke(Activator.CreateInstance(method.DeclaringType!), row);
            }
        }
        finally
        {
            Ranks.Wrap = host => host;
        }
    }

    [StubFact]
    public void AnAsynchronousErrorEndsTheWaitWithNcclsWords()
    {
        var nccl = NcclLibrary.Load(Stub.Path);
        Exception?[] failures = Ranks.RunAll(2, host =>
        {
            var c = new NcclCommunicator(host, nccl, torch.CPU, false);
            using torch.Tensor tensor = torch.ones(3);
            c.AllReduce(tensor);
            c.Send(tensor, 1 - c.Rank);
            c.Receive(1 - c.Rank).Dispose();
            c.Barrier();
            if (c.Rank == 0)
            {
                // A message that is announced and never comes, and a peer that NCCL finds gone.
                using torch.Tensor header = torch.tensor((long[])[1, (long)torch.float32, 3]);
                host.Send(header, 1);
                Thread.Sleep(100);
                Stub.FailAll();
                Thread.Sleep(200);
                return;
            }

            c.Receive(0).Dispose();
        }, TimeSpan.FromSeconds(20));
        Assert.Contains(failures, f => f is CommunicationException && f.Message.Contains("remote process exited", StringComparison.Ordinal));
    }

    [StubFact]
    public void AVersionWithoutSendsIsRefused()
    {
        Stub.SetVersion("2604");
        try
        {
            Assert.Contains("2604", Assert.Throws<CommunicationException>(() => NcclLibrary.Load(Stub.Path)).Message, StringComparison.Ordinal);
        }
        finally
        {
            Stub.SetVersion("22105");
        }
    }

    [Fact]
    public void WithoutNcclTheMessageNamesThePackage() =>
        Assert.Contains("libnccl2", Assert.Throws<CommunicationException>(NcclLibrary.Load).Message, StringComparison.Ordinal);

    [Fact]
    public void ALibraryThatIsNoNcclIsRefusedWithWhatItLacks() =>
        Assert.Contains("ncclGetVersion", Assert.Throws<CommunicationException>(() => NcclLibrary.Load("libc.so.6")).Message, StringComparison.Ordinal);

    /// <summary>The library, built once with the machine's C compiler.</summary>
    private static class Stub
    {
        private static readonly Lazy<string> Built = new(() =>
        {
            string file = System.IO.Path.Combine(AppContext.BaseDirectory, "nccl-stub.so");
            using Process compiler = Process.Start("cc", ["-O1", "-shared", "-fPIC", "-pthread", "-o", file, BuildMetadata.RepositoryPath("tests/Dho2.Tests/Communication/Nccl/stub.c")]);
            compiler.WaitForExit();
            Assert.Equal(0, compiler.ExitCode);
            return file;
        });

        public static string Path => Built.Value;

        public static string? WhyNot =>
            !OperatingSystem.IsLinux() ? "NCCL is there for Linux alone."
            : (Environment.GetEnvironmentVariable("PATH") ?? string.Empty).Split(':').Any(folder => File.Exists(System.IO.Path.Combine(folder, "cc"))) ? null
            : "No C compiler is on the PATH as cc, with which to build a library that stands in for NCCL.";

        public static unsafe void FailAll() =>
            ((delegate* unmanaged<void>)NativeLibrary.GetExport(NativeLibrary.Load(Path), "stub_fail_all"))();

        public static void SetVersion(string version) => _ = SetEnv("STUB_NCCL_VERSION", version, 1);

        [DllImport("libc", EntryPoint = "setenv", CharSet = CharSet.Ansi)]
        private static extern int SetEnv(string name, string value, int overwrite);
    }

    private sealed class StubTheoryAttribute : TheoryAttribute
    {
        public StubTheoryAttribute() => Skip = Stub.WhyNot;
    }

    private sealed class StubFactAttribute : FactAttribute
    {
        public StubFactAttribute() => Skip = Stub.WhyNot;
    }
}
