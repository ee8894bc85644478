using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using System.Threading.Tasks;

namespace Dho2.EndToEnd.Tests;

/// <summary>Runs the SDK's command line as a user would, apart from the build that started these tests.</summary>
internal static class Dotnet
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(5);

    /// <summary>Runs it, with both streams as one text.</summary>
    public static (int ExitCode, string Output) Run(string folder, IReadOnlyDictionary<string, string> environment, params string[] arguments)
    {
        (int exitCode, string output, string errors) = RunApart(folder, environment, arguments);
        return (exitCode, output + errors);
    }

    /// <summary>Runs it, with each stream for itself.</summary>
    public static (int ExitCode, string Output, string Errors) RunApart(
        string folder, IReadOnlyDictionary<string, string> environment, params string[] arguments) =>
        RunCommand(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet", folder, environment, arguments);

    /// <summary>Runs another command in the same way.</summary>
    public static (int ExitCode, string Output, string Errors) RunCommand(
        string command, string folder, IReadOnlyDictionary<string, string> environment, params string[] arguments)
    {
        var start = new ProcessStartInfo(command, arguments)
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (string inherited in start.Environment.Keys.Where(k => k.StartsWith("MSBUILD", StringComparison.OrdinalIgnoreCase)).ToArray())
        {
            start.Environment.Remove(inherited);
        }

        foreach ((string name, string value) in environment)
        {
            start.Environment[name] = value;
        }

        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync(), errors = process.StandardError.ReadToEndAsync();
        if (!process.WaitForExit(Limit))
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"{command} {string.Join(' ', arguments)} did not end within {Limit}: {output.Result}{errors.Result}");
        }

        return (process.ExitCode, output.Result, errors.Result);
    }
}
