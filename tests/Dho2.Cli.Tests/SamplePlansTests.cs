using System;
using System.IO;
using Dho2.Tests.Shared;

namespace Dho2.Cli.Tests;

/// <summary>
/// The plans that lie beside the samples are what the tool shows today. That of DoesNotFit, which is not part of the solution,
/// is looked at where it is built.
/// </summary>
public sealed class SamplePlansTests
{
    // Set to 1 to write the plans anew, after a change that is meant.
    private static readonly bool Writes = Environment.GetEnvironmentVariable("DHO2_WRITE_PLANS") is "1";

    [Theory]
    [InlineData("Mnist")]
    [InlineData("CifarResNet")]
    [InlineData("CharGpt")]
    [InlineData("Vgg")]
    public void TheSamplesPlanIsWhatTheToolShows(string sample)
    {
        string folder = BuildMetadata.RepositoryPath($"samples/{sample}");
        string picture = Path.Combine(folder, "plan.svg"), table = Path.Combine(folder, "plan.md");
        string drawn = Path.GetTempFileName();
        try
        {
            (int status, string output, string errors) = Tool.Run("plan", folder, "--svg", drawn);
            Assert.True(status == 0, errors);
            string text = $"```\n$ dho2 plan samples/{sample}\n{output.Trim('\n')}\n```\n";
            if (Writes)
            {
                File.Copy(drawn, picture, overwrite: true);
                File.WriteAllText(table, text);
            }

            Assert.Equal(File.ReadAllText(picture), File.ReadAllText(drawn));
            Assert.Equal(File.ReadAllText(table), text);
        }
        finally
        {
            File.Delete(drawn);
        }
    }
}
