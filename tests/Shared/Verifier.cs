using System;
using System.IO;
using System.Runtime.CompilerServices;
using System.Threading.Tasks;

namespace VerifyXunit;

/// <summary>
/// Compares a text with the approved one beside the test, as the Verify package does and with its call shape, so that
/// the package can take its place: <c>Class.Method.verified.txt</c> is the approved text, <c>.received.</c> is written
/// where they differ.
/// </summary>
internal static class Verifier
{
    public static async Task Verify(
        string target,
        string extension = "txt",
        [CallerFilePath] string sourceFile = "",
        [CallerMemberName] string method = "")
    {
        string folder = Path.GetDirectoryName(Resolve(sourceFile))!;
        string name = Path.Combine(folder, Path.GetFileNameWithoutExtension(sourceFile) + "." + method);
        string verified = $"{name}.verified.{extension}";
        string received = $"{name}.received.{extension}";
        string actual = target.ReplaceLineEndings("\n").TrimEnd('\n');
        string expected = File.Exists(verified) ? (await File.ReadAllTextAsync(verified)).ReplaceLineEndings("\n").TrimEnd('\n') : "";
        if (actual == expected && File.Exists(verified))
        {
            File.Delete(received);
            return;
        }

        await File.WriteAllTextAsync(received, actual + "\n");
        throw new InvalidOperationException(
            $"{Path.GetFileName(received)} differs from {Path.GetFileName(verified)} {FirstDifference(expected, actual)}; " +
            "if the new text is right, move it over the approved one.");
    }

    // The build's path map puts the root of the repository there.
    private static string Resolve(string sourceFile) => sourceFile.StartsWith("/_/", StringComparison.Ordinal)
        ? Dho2.Tests.Shared.BuildMetadata.RepositoryPath(sourceFile[3..])
        : sourceFile;

    private static string FirstDifference(string expected, string actual)
    {
        string[] before = expected.Split('\n');
        string[] after = actual.Split('\n');
        for (int i = 0; i < Math.Max(before.Length, after.Length); i++)
        {
            string left = i < before.Length ? before[i] : "<end>";
            string right = i < after.Length ? after[i] : "<end>";
            if (left != right)
            {
                return $"in line {i + 1}:\n  approved: {left}\n  received: {right}\n";
            }
        }

        return "";
    }
}
