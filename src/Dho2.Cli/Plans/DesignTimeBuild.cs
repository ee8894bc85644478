using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Text.Json;
using System.Threading.Tasks;

namespace Dho2.Cli.Plans;

/// <summary>Asks MSBuild what it would compile a project with, without compiling it.</summary>
internal static class DesignTimeBuild
{
    private const string ItemName = "CscCommandLineArgs";

    // What editors set: the compiler's command line is put together, and the compiler left out, however new its output is.
    private static readonly string[] Properties =
    [
        "DesignTimeBuild=true",
        "ProvideCommandLineArgs=true",
        "SkipCompilerExecution=true",
        "BuildProjectReferences=false",
        "BuildingProject=false",
        "NonExistentFile=__NonExistentSubDir__/__NonExistentFile__",
    ];

    /// <summary>The compiler's command line of a project.</summary>
    /// <param name="project">The project's file.</param>
    /// <param name="configuration">The configuration, such as Release.</param>
    /// <exception cref="IOException">The project cannot be evaluated or restored.</exception>
    public static IReadOnlyList<string> CommandLineOf(string project, string configuration)
    {
        string result = Path.GetTempFileName();
        try
        {
            Run(
                project,
                ["-restore", "-t:Compile", $"-getItem:{ItemName}", $"-getResultOutputFile:{result}", $"-p:Configuration={configuration}", .. Properties.Select(p => "-p:" + p)]);
            using JsonDocument json = JsonDocument.Parse(File.ReadAllText(result));
            return
            [
                .. json.RootElement.GetProperty("Items").GetProperty(ItemName).EnumerateArray().Select(item => item.GetProperty("Identity").GetString()!),
            ];
        }
        catch (Exception error) when (error is JsonException or KeyNotFoundException)
        {
            throw new IOException($"{project}: MSBuild said nothing that can be read about its compilation; is it a C# project?", error);
        }
        finally
        {
            File.Delete(result);
        }
    }

    /// <summary>Builds what a project references, but not the project.</summary>
    /// <param name="project">The project's file.</param>
    /// <param name="configuration">The configuration.</param>
    /// <exception cref="IOException">A reference cannot be built.</exception>
    public static void BuildReferences(string project, string configuration) =>
        Run(project, ["-restore", "-t:ResolveProjectReferences", $"-p:Configuration={configuration}"]);

    private static void Run(string project, IEnumerable<string> arguments)
    {
        string host = Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") is { Length: > 0 } own ? own : "dotnet";
        var start = new ProcessStartInfo(host, ["msbuild", project, "-nologo", "-v:quiet", "-nodeReuse:false", .. arguments])
        {
            WorkingDirectory = Path.GetDirectoryName(project)!,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };

        // What a build that started this process has set is not meant for another.
        foreach (string inherited in start.Environment.Keys.Where(k => k.StartsWith("MSBUILD", StringComparison.OrdinalIgnoreCase)).ToArray())
        {
            start.Environment.Remove(inherited);
        }

        start.Environment["DOTNET_CLI_UI_LANGUAGE"] = "en";
        using Process process = Process.Start(start) ?? throw new IOException("dotnet cannot be started.");
        process.StandardInput.Close();
        Task<string> output = process.StandardOutput.ReadToEndAsync(), errors = process.StandardError.ReadToEndAsync();
        process.WaitForExit();
        if (process.ExitCode != 0)
        {
            throw new IOException($"{project}: MSBuild ended with {process.ExitCode}.\n{output.Result.Trim()}\n{errors.Result.Trim()}".TrimEnd());
        }
    }
}
