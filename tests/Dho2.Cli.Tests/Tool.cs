using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Threading.Tasks;
using Dho2.Cli.Plans;
using Dho2.Tests.Shared;

namespace Dho2.Cli.Tests;

/// <summary>Runs the tool.</summary>
internal static class Tool
{
    private static readonly Dictionary<(string, string), IReadOnlyList<string>> CommandLines = [];

    public static string Assembly { get; } = BuildMetadata.RepositoryPath($"src/Dho2.Cli/bin/{BuildMetadata.Get("Configuration")}/net10.0/Dho2.Cli.dll");

    /// <summary>Within this process.</summary>
    public static (int Status, string Output, string Errors) Run(params string[] arguments)
    {
        var output = new StringWriter { NewLine = "\n" };
        var errors = new StringWriter { NewLine = "\n" };
        int status = CommandLine.Run(arguments, new Terminal(output, errors), CommandLineOf);
        return (status, output.ToString(), errors.ToString());
    }

    /// <summary>As a process whose output goes to a pipe.</summary>
    public static (int Status, string Output, string Errors) Start(params string[] arguments) => Start(Host, [Assembly, .. arguments], new Dictionary<string, string?>());

    /// <summary>In a terminal of its own.</summary>
    public static (int Status, string Output, string Errors) StartInTerminal(IReadOnlyDictionary<string, string?> environment, params string[] arguments) =>
        Start("script", ["-qec", $"stty cols 120; '{Host}' '{Assembly}' {string.Join(' ', arguments)}", "/dev/null"], environment);

    // MSBuild takes seconds, and says the same as long as the project's file is the same.
    private static IReadOnlyList<string> CommandLineOf(string project, string configuration)
    {
        lock (CommandLines)
        {
            if (!CommandLines.TryGetValue((project, configuration), out IReadOnlyList<string>? known))
            {
                CommandLines[(project, configuration)] = known = DesignTimeBuild.CommandLineOf(project, configuration);
            }

            return known;
        }
    }

    private static string Host => System.Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") is { Length: > 0 } host ? host : "dotnet";

    private static (int Status, string Output, string Errors) Start(string program, string[] arguments, IReadOnlyDictionary<string, string?> environment)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        foreach ((string name, string? value) in environment)
        {
            start.Environment[name] = value;
        }

        using Process process = Process.Start(start)!;
        process.StandardInput.Close();
        Task<string> output = process.StandardOutput.ReadToEndAsync(), errors = process.StandardError.ReadToEndAsync();
        process.WaitForExit();
        return (process.ExitCode, output.Result, errors.Result);
    }
}
