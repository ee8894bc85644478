using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using Dho2.Checkpoints;
using Dho2.Checkpoints.Tests;

namespace Dho2.Cli.Tests;

/// <summary>How the tool is talked to, and how it ends.</summary>
public sealed class CommandLineTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData("--help", 0)]
    [InlineData("", 2)]
    public void HelpNamesTheCommands(string argument, int expected)
    {
        (int status, string output, string errors) = Tool.Run(argument.Length > 0 ? [argument] : []);
        Assert.Equal((expected, ""), (status, errors));
        Assert.Contains("dho2 [command] [options]", output, StringComparison.Ordinal);
        Assert.Matches("(?m)^  inspect <checkpoint> +Shows what is in a checkpoint", output);
        Assert.Matches("(?m)^  report <run> +Shows how a run went", output);
    }

    [Fact]
    public void HelpOfACommandNamesItsOptions()
    {
        (int status, string output, _) = Tool.Run("inspect", "--help");
        Assert.Equal(0, status);
        Assert.All(["<checkpoint>", "--all", "--no-verify", "--json"], word => Assert.Contains(word, output, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("See 'dho2 inspect --help'.", "inspect")]
    [InlineData("See 'dho2 inspect --help'.", "inspect", "somewhere", "--jsn")]
    [InlineData("See 'dho2 --help'.", "inspct", "somewhere")]
    public void AWrongCommandLineIsRefusedWithWhereToLook(string hint, params string[] arguments)
    {
        (int status, string output, string errors) = Tool.Run(arguments);
        Assert.Equal((2, ""), (status, output));
        string[] lines = errors.TrimEnd('\n').Split('\n');
        Assert.All(lines[..^1], line => Assert.StartsWith("dho2: ", line, StringComparison.Ordinal));
        Assert.Equal(hint, lines[^1]);
    }

    [Fact]
    public void AProcessEndsWithTheStatusAndWritesPlainTextToAPipe()
    {
        string path = SampleCheckpoint.Save(new CheckpointStore(folder.Path), 7, 10);
        (int status, string output, string errors) = Tool.Start("inspect", path);
        Assert.Equal((0, ""), (status, errors));
        Assert.DoesNotContain('\e', output);
        Assert.Equal(Tool.Run("inspect", path).Output, output);

        File.WriteAllText(Path.Combine(path, CheckpointManifest.FileName), "{}");
        (status, output, errors) = Tool.Start("inspect", path);
        Assert.Equal((1, ""), (status, output));
        Assert.StartsWith($"dho2: {path}/manifest.json: ", errors, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", errors, StringComparison.Ordinal);
        Assert.Equal(2, Tool.Start("inspect").Status);
    }

    [Fact]
    public void ATerminalHasColoursUnlessTheyAreNotWanted()
    {
        if (!OperatingSystem.IsLinux() || !File.Exists("/usr/bin/script"))
        {
            return;
        }

        string path = SampleCheckpoint.Save(new CheckpointStore(folder.Path), 7, 10);
        var colours = new Dictionary<string, string?> { ["TERM"] = "xterm-256color", ["NO_COLOR"] = null };
        (int status, string coloured, _) = Tool.StartInTerminal(colours, "inspect", path);
        Assert.Equal(0, status);
        Assert.Matches("\e\\[[0-9;]*(3[0-9]|38;5;[0-9]+|9[0-7])m", coloured);
        Assert.Contains("─", coloured, StringComparison.Ordinal);

        (status, string plain, _) = Tool.StartInTerminal(new Dictionary<string, string?>(colours) { ["NO_COLOR"] = "1" }, "inspect", path);
        Assert.Equal(0, status);
        Assert.Contains("Tests.Sample", plain, StringComparison.Ordinal);
        Assert.DoesNotMatch("\e\\[[0-9;]*(3[0-9]|38;5;[0-9]+|9[0-7])m", plain);
    }
}
