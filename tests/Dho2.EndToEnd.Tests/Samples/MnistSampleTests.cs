using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text.RegularExpressions;
using Dho2.Tests.Shared;

namespace Dho2.EndToEnd.Tests.Samples;

/// <summary>The sample as a program whose output goes to a pipe.</summary>
public sealed partial class MnistSampleTests(SmallMnist data) : IClassFixture<SmallMnist>
{
    private static readonly string Program =
        BuildMetadata.RepositoryPath($"samples/Mnist/bin/{BuildMetadata.Get("Configuration")}/net10.0/Mnist.dll");

    [Fact]
    public void Prints_the_plan_then_what_happens_and_last_the_result()
    {
        // Steps enough for the first estimate, which is due before step 400.
        (int exitCode, string output, string errors) = Run("--data", data.Folder, "--batch", "2", "--epochs", "4", "--seed=5");

        Assert.True(exitCode == 0, output + errors);
        // libtorch may say something about the processor; what it says about leaking graphs is let off unseen.
        Assert.DoesNotContain("create_graph", errors, StringComparison.Ordinal);
        Assert.DoesNotContain('\e', output);
        string[] lines = output.TrimEnd('\n').Split('\n');
        Assert.Matches(@"^\|\s+\|\s+stage 0 \|\s+stage 1 \|$", lines[2]);
        Assert.Equal(["conv1, conv2", "fc, head"], Row(lines, "layers"));
        Assert.Equal(["4,800", "202,122"], Row(lines, "number of parameters"));
        Assert.Equal(["18.8 KiB", "790 KiB"], Row(lines, "parameters and buffers"));
        Assert.Equal(["18.8 KiB", "790 KiB"], Row(lines, "gradients"));
        Assert.Equal(["x: float32 (N, 32, 7, 7)", "-"], Row(lines, "sent on"));
        Assert.Contains(lines, line => line.StartsWith("batch 2 in 4 micro-batches, OneForwardOneBackward, bubble ", StringComparison.Ordinal));
        Assert.Equal(["100", "200", "300", "400"], lines.Select(line => StepLine().Match(line)).Where(m => m.Success).Select(m => m.Groups[1].Value));
        Assert.Equal(["1", "2", "3", "4"], lines.Select(line => EpochLine().Match(line)).Where(m => m.Success).Select(m => m.Groups[1].Value));
        Match refresh = Assert.Single(lines.Select(line => RefreshLine().Match(line)), m => m.Success);
        double[] eigenvalues = [.. refresh.Groups[1].Value.Split(' ').Select(Number)];
        Assert.Equal(5, eigenvalues.Length);
        Assert.Equal(eigenvalues.OrderDescending(), eigenvalues);
        Match result = ResultLine().Match(lines[^1]);
        Assert.True(result.Success, lines[^1]);
        Assert.InRange(Number(result.Groups[1].Value), 0.9, 1);
    }

    [Theory]
    [InlineData("--epochs takes a whole number from 1 to 10000, not '0'", "--epochs", "0")]
    [InlineData("--epochs needs a value", "--batch", "16", "--epochs")]
    [InlineData("--batch takes a whole number from 1 to 60000, not '1.5'", "--batch", "1.5")]
    [InlineData("--lr takes a number above 0, not '-1'", "--lr=-1")]
    [InlineData("--lr takes a number above 0, not 'NaN'", "--lr", "NaN")]
    [InlineData("--seed takes a whole number from 0 to 2147483647, not 'x'", "--seed", "x")]
    [InlineData("--base takes one of sgd, heavy-ball, nesterov, adam, not 'lion'", "--base", "lion")]
    [InlineData("--optimizer takes one of hybrid, heavy-ball, adam, not 'sgd'", "--optimizer", "sgd")]
    [InlineData("--base chooses what the hybrid optimizer builds on; it contradicts --optimizer here", "--optimizer", "adam", "--base", "sgd")]
    [InlineData("--data takes a folder of IDX files; there is no folder 'nowhere'", "--data", "nowhere")]
    [InlineData("--checkpoint takes a folder, which need not exist yet, not ' '", "--checkpoint", " ")]
    [InlineData("--record takes a folder, which need not exist yet, not ' '", "--record", " ")]
    [InlineData("--trial takes one of keep, drop, not 'stop'", "--trial", "stop")]
    [InlineData("unknown option '--epoch'", "--epoch", "3")]
    [InlineData("unknown option 'adam'", "adam")]
    public void A_wrong_option_gets_a_usage_line(string message, params string[] arguments)
    {
        (int exitCode, string output, string errors) = Run(arguments);

        Assert.Equal(2, exitCode);
        Assert.Empty(output);
        string[] lines = errors.Split('\n');
        Assert.Equal(message, lines[0]);
        Assert.StartsWith("usage: Mnist [--epochs N] ", lines[1]);
    }

    [Fact]
    public void Help_shows_every_option()
    {
        (int exitCode, string output, string errors) = Run("--help");

        Assert.Equal((0, ""), (exitCode, errors));
        Assert.All(
            ["--epochs", "--batch", "--lr", "--base", "--seed", "--optimizer", "--data", "--checkpoint", "--record", "--trial", "--help"],
            option => Assert.Contains($"[{option}", output, StringComparison.Ordinal));
    }

    [Fact]
    public void Started_again_it_goes_on_from_its_checkpoint_as_if_it_had_never_ended()
    {
        string folder = Directory.CreateTempSubdirectory("dho2-mnist-").FullName;
        try
        {
            string[] options = ["--data", data.Folder, "--batch", "8", "--seed", "3", "--optimizer", "adam"];
            string[] whole = Lines(Run([.. options, "--epochs", "3", "--checkpoint", Path.Combine(folder, "whole")]));
            string[] first = Lines(Run([.. options, "--epochs", "3", "--checkpoint", Path.Combine(folder, "run")]));
            Assert.Equal(3, first.Count(line => SavedLine().IsMatch(line)));
            Assert.Equal(Epochs(whole), Epochs(first));

            // Its last epoch is lost; the next start trains that one again, and another that is asked for is trained alone.
            string[] checkpoints = [.. Directory.GetDirectories(Path.Combine(folder, "run")).Order(StringComparer.Ordinal)];
            Assert.Equal(3, checkpoints.Length);
            Directory.Delete(checkpoints[^1], recursive: true);
            string[] second = Lines(Run([.. options, "--epochs", "3", "--checkpoint", Path.Combine(folder, "run")]));
            Assert.Contains(second, line => line.StartsWith("goes on after step ", StringComparison.Ordinal) && line.EndsWith(checkpoints[^2], StringComparison.Ordinal));
            Assert.Equal(Epochs(whole)[2..], Epochs(second));
            Assert.Equal(whole[^1].Split(' ')[..3], second[^1].Split(' ')[..3]);

            string record = Path.Combine(folder, "record");
            string[] third = Lines(Run([.. options, "--epochs", "3", "--checkpoint", Path.Combine(folder, "run"), "--record", record]));
            Assert.Empty(Epochs(third));
            Assert.Equal(whole[^1].Split(' ')[..3], third[^1].Split(' ')[..3]);
            Assert.Equal(["rank-0.jsonl", "rank-1.jsonl", "record.json"], Directory.GetFiles(record).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }

        static string[] Lines((int ExitCode, string Output, string Errors) run)
        {
            Assert.True(run.ExitCode == 0, run.Output + run.Errors);
            return run.Output.TrimEnd('\n').Split('\n');
        }

        // Without the time that each took.
        static string[] Epochs(string[] lines) => [.. lines.Where(line => EpochLine().IsMatch(line)).Select(line => line[..line.LastIndexOf(',')])];
    }

    [Fact]
    public void A_damaged_file_is_named_with_the_byte()
    {
        using var damaged = new SmallMnist();
        string labels = Path.Combine(damaged.Folder, "train-labels-idx1-ubyte");
        File.WriteAllBytes(labels, File.ReadAllBytes(labels)[..100]);

        (int exitCode, string output, string errors) = Run("--data", damaged.Folder);

        Assert.Equal((1, ""), (exitCode, output));
        Assert.Equal($"{labels}, byte 4: dimensions 202 need 202 bytes, but 92 bytes follow the header.\n", errors);
    }

    [Fact]
    public void A_run_that_diverges_ends_with_its_step()
    {
        (int exitCode, _, string errors) = Run("--data", data.Folder, "--batch", "101", "--lr", "1e30", "--optimizer", "heavy-ball");

        Assert.Equal(1, exitCode);
        Assert.Matches(@"^[^\n]* step \d+[^\n]*\n$", errors);
        Assert.DoesNotContain("   at ", errors, StringComparison.Ordinal);
    }

    /// <summary>The whole of the real MNIST, as the README has it; minutes long, so only where asked for.</summary>
    [LongFact]
    public void Reaches_the_accuracy_that_is_promised()
    {
        (int exitCode, string output, string errors) = Run();

        Assert.True(exitCode == 0, output + errors);
        Match result = ResultLine().Match(output.TrimEnd('\n').Split('\n')[^1]);
        Assert.True(result.Success && Number(result.Groups[1].Value) >= 0.985, output);
    }

    private static (int ExitCode, string Output, string Errors) Run(params string[] arguments) =>
        Dotnet.RunApart(Path.GetTempPath(), new Dictionary<string, string>(), [Program, .. arguments]);

    private static string[] Row(string[] lines, string name) =>
        [.. lines.Single(line => line.StartsWith($"| {name} ", StringComparison.Ordinal)).Trim('|').Split('|').Skip(1).Select(cell => cell.Trim())];

    private static double Number(string text) => double.Parse(text, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"^epoch \d+, step (\d+)/404: loss \d+\.\d{4}, \d+ samples/s, [^,]+ left, idle \d+ % \(plan \d+ %\), memory \S+ [KMG]?i?B \(plan \S+ MiB\)(, eigenvalues \S+ \S+ \S+, curvature takes \d+ % of the time)?$")]
    private static partial Regex StepLine();

    [GeneratedRegex(@"^epoch (\d+): training loss \d+\.\d{4}, test loss \d+\.\d{4}, test accuracy [01]\.\d{4}, \d+\.\d s$")]
    private static partial Regex EpochLine();

    [GeneratedRegex(@"^saved step \d+: \S+ [KM]iB, training stood still for \d+ ms$")]
    private static partial Regex SavedLine();

    [GeneratedRegex(@"^curvature before step 400: largest eigenvalues (\S+ \S+ \S+ \S+ \S+) \(\d+ products, \d+\.\d s\)$")]
    private static partial Regex RefreshLine();

    [GeneratedRegex(@"^result: test_accuracy=([01]\.\d{4}) test_loss=\d+\.\d{4} seconds=\d+\.\d stages=2$")]
    private static partial Regex ResultLine();
}
