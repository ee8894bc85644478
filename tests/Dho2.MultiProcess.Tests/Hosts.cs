using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Threading;

namespace Dho2.MultiProcess.Tests;

/// <summary>
/// Two hosts of this machine: network namespaces with addresses and, for what runs there, names of their own, connected by
/// a cable that can be cut.
/// </summary>
internal sealed class Hosts : IDisposable
{
    private static readonly TimeSpan CableLimit = TimeSpan.FromSeconds(20);

    private readonly string[] names;

    private Hosts(string name)
    {
        names = [$"{name}a", $"{name}b"];
    }

    /// <summary>
    /// What OpenMPI's launcher needs to be told to notice within seconds that a host is out of reach, and before its ranks
    /// notice: once they have made it speak to that host, it waits for TCP to give up, which takes a quarter of an hour.
    /// </summary>
    public static IReadOnlyList<string> KeepAlive { get; } =
        ["--mca", "oob_tcp_keepalive_time", "3", "--mca", "oob_tcp_keepalive_intvl", "1", "--mca", "oob_tcp_keepalive_probes", "3"];

    /// <summary>Their addresses.</summary>
    public string[] Addresses { get; } = ["10.77.0.1", "10.77.0.2"];

    /// <summary>Why this machine has no such hosts; null where it can have them.</summary>
    public static string? WhyNot { get; } = FindOut();

    /// <summary>Makes the hosts.</summary>
    public static Hosts Create()
    {
        var hosts = new Hosts($"d2{Guid.NewGuid().ToString("N")[..6]}");
        string cable = "v" + hosts.names[0];
        try
        {
            foreach (string name in hosts.names)
            {
                Ip("netns", "add", name);
                Ip("-n", name, "link", "set", "lo", "up");
            }

            Ip("link", "add", cable, "netns", hosts.names[0], "type", "veth", "peer", "name", cable, "netns", hosts.names[1]);
            for (int i = 0; i < hosts.names.Length; i++)
            {
                Ip("-n", hosts.names[i], "address", "add", $"{hosts.Addresses[i]}/24", "dev", cable);
                Ip("-n", hosts.names[i], "link", "set", cable, "up");
            }

            // MPICH's transport (UCX) now and then found no cable, but only the loop, in hosts that had just been made after others were
            // cut. The kernel may say up to a second late that a cable works.
            long start = Stopwatch.GetTimestamp();
            while (!hosts.names.All(name => IsUp(name, cable)))
            {
                if (Stopwatch.GetElapsedTime(start) > CableLimit)
                {
                    throw new InvalidOperationException($"The cable between two hosts does not work after {CableLimit.TotalSeconds} s.");
                }

                Thread.Sleep(20);
            }

            return hosts;
        }
        catch
        {
            hosts.Dispose();
            throw;
        }
    }

    /// <summary>Cuts the second host off.</summary>
    public void Cut() => Ip("-n", names[1], "link", "set", "v" + names[0], "down");

    /// <summary>Writes a program that is called as ssh is, with a host's address and a command, and runs it there.</summary>
    public string WriteAgent(string path)
    {
        File.WriteAllText(path, $$"""
            #!/bin/sh
            while [ "$1" != "${1#-}" ]; do shift; done
            case $1 in {{Addresses[0]}}) host={{names[0]}};; *) host={{names[1]}};; esac
            shift
            exec ip netns exec $host unshare --uts sh -c 'hostname "$0" && exec sh -c "$1"' $host "$*"

            """);
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }

        return path;
    }

    public void Dispose()
    {
        foreach (string name in names)
        {
            TryIp(out _, out _, "netns", "delete", name);
        }
    }

    private static string? FindOut()
    {
        try
        {
            using Hosts hosts = Create();
            return null;
        }
        catch (Exception e) when (e is InvalidOperationException or System.ComponentModel.Win32Exception)
        {
            return $"Two connected hosts could not be made here (they take root, or CAP_NET_ADMIN and CAP_SYS_ADMIN, and the package iproute2): {e.Message}";
        }
    }

    private static bool IsUp(string host, string cable) =>
        Ip("-n", host, "-oneline", "link", "show", "dev", cable).Contains(" state UP ", StringComparison.Ordinal);

    private static string Ip(params string[] arguments) => TryIp(out string output, out string errors, arguments)
        ? output
        : throw new InvalidOperationException($"ip {string.Join(' ', arguments)}: {errors.Trim()}");

    private static bool TryIp(out string output, out string errors, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo("ip", arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        output = process.StandardOutput.ReadToEnd();
        errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0;
    }
}

/// <summary>A test on two hosts, for each launcher of this machine; where it cannot have two, it says why not.</summary>
internal sealed class HostsTheoryAttribute : TheoryAttribute
{
    public HostsTheoryAttribute() => Skip = Hosts.WhyNot;
}
