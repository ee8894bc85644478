using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.RegularExpressions;
using Dho2.Tests.Shared;

namespace Dho2.EndToEnd.Tests.Samples;

/// <summary>The samples beside Mnist, as programs on a little data: they train to the end, and go on from a checkpoint.</summary>
public sealed partial class SampleRunTests : IDisposable
{
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("dho2-samples-");

    public void Dispose() => folder.Delete(recursive: true);

    [Fact]
    public void Vgg_trains_its_three_module_classes_and_a_second_start_goes_on_where_the_first_ended()
    {
        using var data = new SmallMnist();
        string[] arguments = ["--data", data.Folder, "--batch", "64", "--checkpoint", Path.Combine(folder.FullName, "run"), "--epochs"];

        string[] first = Run("Vgg", [.. arguments, "1"]);
        string[] again = Run("Vgg", [.. arguments, "1"]);
        string[] more = Run("Vgg", [.. arguments, "2"]);

        Assert.Equal(["edges", "shapes", "classifier"], Row(first, "layers"));
        Assert.Equal(["1"], Epochs(first));
        Assert.Empty(Epochs(again));
        Assert.Equal(["2"], Epochs(more));
        Assert.Equal(Result(first).Groups["loss"].Value, Result(again).Groups["loss"].Value);
        Assert.Equal("3", Result(more).Groups["stages"].Value);
    }

    [Theory]
    [InlineData("float32")]
    [InlineData("float64")]
    [InlineData("bfloat16")]
    public void CharGpt_trains_on_four_stages_with_its_tied_embedding_and_writes(string type)
    {
        string text = Path.Combine(folder.FullName, "text.txt");
        File.WriteAllText(text, string.Concat(Enumerable.Range(0, 60).Select(i => $"The quick brown fox {i} jumps over the lazy dog.\n")));

        string[] lines = Run("CharGpt", "--data", text, "--epochs", "1", "--type", type);

        Assert.Equal(["110,208", "99,968", "99,968", "100,096"], Row(lines, "number of parameters"));
        Assert.DoesNotContain("unknown", string.Join('\n', lines), StringComparison.Ordinal);
        Assert.Equal("4", Result(lines).Groups["stages"].Value);
        Assert.False(Result(lines).Groups["accuracy"].Success);
    }

    [Fact]
    public void CharGpt_refuses_a_text_that_is_not_ascii_and_one_that_is_too_short()
    {
        string text = Path.Combine(folder.FullName, "text.txt");
        File.WriteAllText(text, "one\ntwo\nthr\u00e9e\n");
        Assert.Equal((1, $"{text}, line 3: character U+00E9, expected printable ASCII.\n"), Failure("CharGpt", "--data", text));

        File.WriteAllText(text, "short\n");
        Assert.Equal((1, $"{text} has 6 characters; expected more than 650.\n"), Failure("CharGpt", "--data", text));
    }

    [Theory]
    [InlineData("resnet20", 2, "shortcut: float32 (N, 32, 16, 16), x: float32 (N, 32, 16, 16)")]
    [InlineData("resnet110", 4, "x: float32 (N, 16, 32, 32)")]
    public void CifarResNet_trains_both_networks(string model, int stages, string firstCut)
    {
        for (int file = 1; file <= 5; file++)
        {
            WriteCifar($"data_batch_{file}.bin", 4);
        }

        WriteCifar("test_batch.bin", 4);

        string[] lines = Run("CifarResNet", "--data", folder.FullName, "--model", model, "--batch", "16", "--epochs", "1");

        Assert.Equal(firstCut, Row(lines, "sent on")[0]);
        Assert.Equal($"{stages}", Result(lines).Groups["stages"].Value);
    }

    [Fact]
    public void CifarResNet_says_what_data_it_needs()
    {
        (int exitCode, string errors) = Failure("CifarResNet", "--quick");

        Assert.Equal(2, exitCode);
        Assert.StartsWith("--data is needed: the folder of CIFAR-10's binary files\nusage: CifarResNet ", errors, StringComparison.Ordinal);
        Assert.Contains("cifar-10-binary.tar.gz", errors, StringComparison.Ordinal);

        (exitCode, errors) = Failure("CifarResNet", "--data", folder.FullName);
        Assert.Equal(1, exitCode);
        Assert.StartsWith("There is no data_batch_1.bin in ", errors, StringComparison.Ordinal);
    }

    [Fact]
    public void DoesNotFit_does_not_build_and_says_why_and_its_fix_does()
    {
        string project = BuildMetadata.RepositoryPath("samples/DoesNotFit");
        (int exitCode, string output) = Build(project);

        Assert.True(exitCode == 1, output);
        string[] errors = [.. output.Split('\n').Select(line => ErrorLine().Match(line)).Where(m => m.Success).Select(m => m.Value).Distinct().Order()];
        Assert.Equal(2, errors.Length);
        Assert.All(errors, (error, stage) => Assert.Matches(
            $@"^LargeGpt\.cs\(\d+,\d+\): error DHO1401: Stage {stage} needs \d+(\.\d+)? GiB, .* more than the 24 GiB of its device: curvature basis .*, curvature .*, optimizer state .*; curvature and its basis .* would fit \([^)]*\)", error));

        (exitCode, output) = Build(project, "-p:DefineConstants=FITS");
        Assert.True(exitCode == 0, output);

        // The plan beside it is what the tool shows, errors or not.
        string tool = BuildMetadata.RepositoryPath($"src/Dho2.Cli/bin/{BuildMetadata.Get("Configuration")}/net10.0/Dho2.Cli.dll");
        string picture = Path.Combine(folder.FullName, "plan.svg");
        (exitCode, output, string complaints) = Dotnet.RunApart(Path.GetTempPath(), new Dictionary<string, string>(), tool, "plan", project, "--svg", picture);
        Assert.Equal(1, exitCode);
        Assert.Contains("error DHO1401: Stage 1 needs", complaints, StringComparison.Ordinal);
        Assert.Equal(File.ReadAllText(Path.Combine(project, "plan.svg")), File.ReadAllText(picture));
        Assert.Equal(File.ReadAllText(Path.Combine(project, "plan.md")), $"```\n$ dho2 plan samples/DoesNotFit\n{output.Trim('\n')}\n```\n");
    }

    // The projects it depends on were built for these tests.
    private static (int ExitCode, string Output) Build(string project, params string[] more) =>
        Dotnet.Run(project, new Dictionary<string, string>(), ["build", "-c", BuildMetadata.Get("Configuration"), "--no-dependencies", "-nologo", "-m:1", .. more]);

    private void WriteCifar(string name, int count)
    {
        const int RecordBytes = 1 + (3 * 32 * 32);
        byte[] content = new byte[count * RecordBytes];
        new Random(count).NextBytes(content);
        for (int i = 0; i < count; i++)
        {
            content[i * RecordBytes] = (byte)(i % 10);
        }

        File.WriteAllBytes(Path.Combine(folder.FullName, name), content);
    }

    private static string[] Run(string sample, params string[] arguments)
    {
        (int exitCode, string output, string errors) = Start(sample, arguments);
        Assert.True(exitCode == 0, output + errors);
        return output.TrimEnd('\n').Split('\n');
    }

    private static (int ExitCode, string Errors) Failure(string sample, params string[] arguments)
    {
        (int exitCode, string output, string errors) = Start(sample, arguments);
        Assert.Equal("", output);
        return (exitCode, errors);
    }

    private static (int ExitCode, string Output, string Errors) Start(string sample, string[] arguments) =>
        Dotnet.RunApart(Path.GetTempPath(), new Dictionary<string, string>(),
            [BuildMetadata.RepositoryPath($"samples/{sample}/bin/{BuildMetadata.Get("Configuration")}/net10.0/{sample}.dll"), .. arguments]);

    private static string[] Row(string[] lines, string name) =>
        [.. lines.Single(line => line.StartsWith($"| {name} ", StringComparison.Ordinal)).Trim('|').Split('|').Skip(1).Select(cell => cell.Trim())];

    private static string[] Epochs(string[] lines) =>
        [.. lines.Select(line => EpochLine().Match(line)).Where(m => m.Success).Select(m => m.Groups[1].Value)];

    private static Match Result(string[] lines)
    {
        Match result = ResultLine().Match(lines[^1]);
        Assert.True(result.Success, lines[^1]);
        return result;
    }

    [GeneratedRegex(@"^epoch (\d+): training loss ")]
    private static partial Regex EpochLine();

    [GeneratedRegex(@"^result: (test_accuracy=(?<accuracy>[01]\.\d{4}) )?test_loss=(?<loss>\d+\.\d{4}) seconds=\d+\.\d stages=(?<stages>\d+)$")]
    private static partial Regex ResultLine();

    [GeneratedRegex(@"[A-Za-z]+\.cs\(\d+,\d+\): error DHO\d+: .*(?= \(http)")]
    private static partial Regex ErrorLine();
}
