using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using Dho2.Records;

namespace Dho2.Cli.Reports;

/// <summary>Writes what a record has of numbers as an event file of TensorBoard.</summary>
internal static class TensorBoardExport
{
    /// <summary>Writes the file, in place of the run's own from before.</summary>
    /// <param name="record">The run.</param>
    /// <param name="folder">The folder of the event file, which TensorBoard takes for the run; made if it does not exist.</param>
    /// <returns>The file.</returns>
    /// <exception cref="IOException">It cannot be written.</exception>
    public static string Write(RunRecord record, string folder)
    {
        Directory.CreateDirectory(folder);
        DateTimeOffset started = record.Sessions[0].Start.Started;
        string path = Path.Combine(folder, TensorBoardFile.NameOf(started));
        using var file = new TensorBoardFile(File.Create(path), started);
        foreach (RecordEntry entry in record.Ranks[0])
        {
            if (entry is StartEntry start)
            {
                started = start.Started;
            }

            (string, double)[] values = [.. ValuesOf(entry)];
            if (values.Length > 0)
            {
                file.Add(started.AddSeconds(entry.Time), entry.Step, values);
            }
        }

        return path;
    }

    private static IEnumerable<(string Tag, double Value)> ValuesOf(RecordEntry entry) => entry switch
    {
        StepEntry step => [("loss/training", step.Loss), ("gradient norm", step.GradientNorm), ("learning rate", step.LearningRate)],
        RoundEntry round => [("admm/primal residual", round.PrimalResidual), ("admm/dual residual", round.DualResidual), ("admm/sigma", round.Sigma)],
        EpochEntry epoch =>
        [
            ("epoch/training loss", epoch.TrainingLoss),
            .. epoch.TestLoss is { } loss ? [("epoch/test loss", loss)] : Array.Empty<(string, double)>(),
            .. epoch.TestAccuracy is { } accuracy ? [("epoch/test accuracy", accuracy)] : Array.Empty<(string, double)>(),
        ],
        EstimateEntry estimate => ValuesOf(estimate),
        RankEntry { Process: { } process } => [("memory/resident", process.Resident), ("memory/peak", process.Peak)],
        _ => [],
    };

    private static IEnumerable<(string Tag, double Value)> ValuesOf(EstimateEntry estimate)
    {
        string block = estimate.Stage is { } stage ? string.Create(CultureInfo.InvariantCulture, $"curvature of stage {stage}/") : "curvature/";
        double[] largest = [.. estimate.Eigenvalues.OrderDescending()];
        for (int i = 0; i < largest.Length; i++)
        {
            yield return (string.Create(CultureInfo.InvariantCulture, $"{block}eigenvalue {i + 1}"), largest[i]);
        }

        if (estimate.ResidualBounds.Count > 0)
        {
            yield return (block + "worst residual bound", estimate.ResidualBounds.Max());
        }

        yield return (block + "products", estimate.Products);
    }
}
