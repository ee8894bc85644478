using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Threading.Tasks;
using Dho2.Tests.Shared;

namespace Dho2.MultiProcess.Tests;

/// <summary>How a job of several processes ended.</summary>
/// <param name="ExitCode">The launcher's exit status.</param>
/// <param name="Output">What all processes and the launcher wrote.</param>
/// <param name="Errors">What they wrote on the error stream.</param>
/// <param name="Elapsed">How long it took.</param>
internal sealed record JobResult(int ExitCode, string Output, string Errors, TimeSpan Elapsed)
{
    /// <summary>The messages with which ranks reported a failure.</summary>
    public string[] Messages => [.. Errors.Split('\n').Where(line => line.StartsWith("dho2: ", StringComparison.Ordinal))];

    public override string ToString() => $"exit status {ExitCode} after {Elapsed.TotalSeconds:F1} s\n--- output\n{Output}\n--- errors\n{Errors}";
}

/// <summary>Starts programs of this repository, alone or on several ranks, in a folder for temporary files of their own.</summary>
internal sealed class Job : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(300);
    private readonly string mark = $"dho2-job-{Guid.NewGuid():N}";

    /// <param name="temporary">A folder for temporary files that several jobs share; null for one of its own.</param>
    public Job(string? temporary = null)
    {
        // Short, because OpenMPI makes sockets below it, whose paths are limited.
        Folder = Path.Combine(Path.GetTempPath(), mark[..17]);
        Directory.CreateDirectory(Folder);
        Temporary = temporary ?? Path.Combine(Folder, "tmp");
        Directory.CreateDirectory(Temporary);
    }

    /// <summary>A folder of the test's own.</summary>
    public string Folder { get; }

    /// <summary>Where the processes put temporary files.</summary>
    public string Temporary { get; }

    /// <summary>Variables for the processes.</summary>
    public Dictionary<string, string> Environment { get; } = [];

    /// <summary>More options for the launcher.</summary>
    public List<string> LauncherOptions { get; } = [];

    /// <summary>The name by which <see cref="Run(string, int, string, string[])"/> starts ranks as torchrun does, without an MPI.</summary>
    public const string Tcp = "TCP";

    /// <summary>The port of rank 0, where there is no MPI; 0 for a free one.</summary>
    public int Port { get; init; }

    public static string Driver { get; } = System.Environment.GetEnvironmentVariable("DHO2_DRIVER") is { Length: > 0 } other
        ? other : Built("tests/Dho2.MultiProcess.Driver", "Dho2.MultiProcess.Driver.dll");

    public static string Tool { get; } = Built("src/Dho2.Cli", "Dho2.Cli.dll");

    public static string Mnist { get; } = Built("samples/Mnist", "Mnist.dll");

    /// <summary>Starts a program on some ranks.</summary>
    public JobResult Run(Mpi mpi, int ranks, string program, params string[] arguments) =>
        Start(mpi.Launcher, [.. mpi.Options, .. LauncherOptions, "-n", $"{ranks}", Dotnet, program, .. arguments]);

    /// <summary>Starts a program on some ranks, each within a script that ends with <c>exec "$@"</c>.</summary>
    public JobResult RunWrapped(Mpi mpi, int ranks, string script, string program, params string[] arguments) =>
        Start(mpi.Launcher, [.. mpi.Options, "-n", $"{ranks}", "bash", "-c", script, "rank", Dotnet, program, .. arguments]);

    /// <summary>Starts a program on some ranks, by an MPI of the machine or with torchrun's variables.</summary>
    public JobResult Run(string launcher, int ranks, string program, params string[] arguments) =>
        launcher == Tcp ? RunLikeTorchrun(ranks, program, arguments) : Run(Mpi.Named(launcher), ranks, program, arguments);

    /// <summary>Starts a program on two ranks of each of two hosts, by an MPI of the machine or with torchrun's variables.</summary>
    /// <param name="meanwhile">What happens while it runs.</param>
    public JobResult Run(string launcher, Hosts hosts, Action? meanwhile, string program, params string[] arguments)
    {
        string agent = hosts.WriteAgent(Path.Combine(Folder, "agent.sh"));
        string addresses = string.Join(',', hosts.Addresses);
        string perHost = string.Join(',', hosts.Addresses.Select(address => $"{address}:2"));
        string[] ranks = ["-n", "4", Dotnet, program, .. arguments];
        if (launcher == Tcp)
        {
            Environment["MASTER_ADDR"] = hosts.Addresses[0];
            Environment["MASTER_PORT"] = "29500";
            Environment["TORCHELASTIC_RUN_ID"] = mark;
            const string Script = """
                agent=$1 first=$2 second=$3; shift 3; pids=""; status=0
                for r in 0 1 2 3; do
                  [ $r -lt 2 ] && host=$first || host=$second
                  RANK=$r LOCAL_RANK=$((r % 2)) WORLD_SIZE=4 LOCAL_WORLD_SIZE=2 "$agent" $host "$*" & pids="$pids $!"
                done
                for p in $pids; do wait $p || status=$?; done
                exit $status
                """;
            return Start("bash", ["-c", Script, "launcher", agent, .. hosts.Addresses, .. ranks[2..]], meanwhile);
        }

        // Both are told to keep to the network: they would find out that the two hosts share their memory.
        string[] networkOnly = ["env", "UCX_TLS=tcp,self"];
        string[] options = launcher == "MPICH"
            ? ["-launcher", "ssh", "-launcher-exec", agent, "-localhost", hosts.Addresses[0], "-hosts", addresses, "-ppn", "2"]
            : ["--mca", "plm_rsh_agent", agent, "--mca", "btl", "tcp,self", "--host", perHost, .. Hosts.KeepAlive];
        Mpi mpi = Mpi.Named(launcher);
        return Start(agent, [hosts.Addresses[0], string.Join(' ', [.. networkOnly, mpi.Launcher, .. mpi.Options, .. options, .. ranks])], meanwhile);
    }

    /// <summary>Starts a program alone.</summary>
    public JobResult Run(string program, params string[] arguments) => Start(Dotnet, [program, .. arguments]);

    /// <summary>The processes of this job that still live, by their command lines.</summary>
    public string[] Left()
    {
        List<string> left = [];
        foreach (string process in Directory.EnumerateDirectories("/proc"))
        {
            try
            {
                if (int.TryParse(Path.GetFileName(process), out int id) && id != System.Environment.ProcessId
                    && File.ReadAllText(Path.Combine(process, "environ")).Contains($"DHO2_JOB={mark}", StringComparison.Ordinal))
                {
                    left.Add(File.ReadAllText(Path.Combine(process, "cmdline")).Replace('\0', ' '));
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // It has ended meanwhile.
            }
        }

        return [.. left];
    }

    public void Dispose() => Directory.Delete(Folder, recursive: true);

    private static string Dotnet => System.Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") is { Length: > 0 } host ? host : "dotnet";

    private static string Built(string project, string file) =>
        BuildMetadata.RepositoryPath($"{project}/bin/{BuildMetadata.Get("Configuration")}/net10.0/{file}");

    // As torchrun does: where one process fails, the others are told to end a moment later.
    private JobResult RunLikeTorchrun(int ranks, string program, string[] arguments)
    {
        int port = Port;
        if (port == 0)
        {
            using var free = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Loopback, 0);
            free.Start();
            port = ((System.Net.IPEndPoint)free.LocalEndpoint).Port;
        }

        const string Script = """
            n=$1; shift; status=0; pids=""
            for r in $(seq 0 $((n-1))); do RANK=$r LOCAL_RANK=$r WORLD_SIZE=$n LOCAL_WORLD_SIZE=$n "$@" & pids="$pids $!"; done
            while [ -n "$pids" ] && [ $status -eq 0 ]; do
              sleep 0.05; left=""
              for p in $pids; do if kill -0 $p 2> /dev/null; then left="$left $p"; else wait $p || status=$?; fi; done
              pids=$left
            done
            if [ $status -ne 0 ]; then sleep 2; kill $pids 2> /dev/null; fi
            wait
            exit $status
            """;
        Environment["MASTER_ADDR"] = "127.0.0.1";
        Environment["MASTER_PORT"] = $"{port}";
        Environment["TORCHELASTIC_RUN_ID"] = mark;
        return Start("bash", ["-c", Script, "launcher", $"{ranks}", Dotnet, program, .. arguments]);
    }

    private JobResult Start(string command, IEnumerable<string> arguments, Action? meanwhile = null)
    {
        var start = new ProcessStartInfo(command, arguments)
        {
            WorkingDirectory = Folder,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };

        // OpenMPI gives its ranks a terminal, for which .NET would write control codes.
        start.Environment["TERM"] = "dumb";
        start.Environment["TMPDIR"] = Temporary;
        start.Environment["OMP_NUM_THREADS"] = "1";
        start.Environment["DOTNET_TieredCompilation"] = "1";
        start.Environment["DHO2_JOB"] = mark;
        foreach ((string name, string value) in Environment)
        {
            start.Environment[name] = value;
        }

        long begin = Stopwatch.GetTimestamp();
        using Process process = Process.Start(start)!;
        process.StandardInput.Close();
        Task<string> output = process.StandardOutput.ReadToEndAsync(), errors = process.StandardError.ReadToEndAsync();
        meanwhile?.Invoke();
        if (!process.WaitForExit(Limit))
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"{command} {string.Join(' ', start.ArgumentList)} did not end within {Limit.TotalSeconds} s:\n{output.Result}\n{errors.Result}");
        }

        return new JobResult(process.ExitCode, output.Result, errors.Result, Stopwatch.GetElapsedTime(begin));
    }
}
