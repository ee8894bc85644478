using System;
using System.Collections.Generic;
using Dho2.Curvature;

namespace Dho2;

/// <summary>Estimates as plain numbers, but for their vectors: what ranks tell each other and checkpoints keep.</summary>
internal static class EstimateNumbers
{
    private const int Facts = 9;

    /// <summary>The most numbers that an estimate of so many pairs takes.</summary>
    public static int LengthFor(int pairs) => Facts + (2 * pairs);

    /// <summary>An estimate's numbers.</summary>
    public static double[] Write(CurvatureEstimate estimate) =>
    [
        (double)estimate.Outcome, estimate.Products, estimate.GateProducts, estimate.CertificateProducts, estimate.Breakdowns,
        estimate.NonFiniteEstimates, estimate.Duration.Ticks, estimate.Eigenvalues.Count, estimate.ResidualBounds.Count,
        .. estimate.Eigenvalues, .. estimate.ResidualBounds,
    ];

    /// <summary>The estimate of such numbers, without vectors.</summary>
    public static CurvatureEstimate Read(ReadOnlySpan<double> numbers)
    {
        int values = (int)numbers[7];
        int bounds = (int)numbers[8];
        return new CurvatureEstimate
        {
            Outcome = (EstimateOutcome)numbers[0],
            Subspace = null,
            Products = (int)numbers[1],
            GateProducts = (int)numbers[2],
            CertificateProducts = (int)numbers[3],
            Breakdowns = (int)numbers[4],
            NonFiniteEstimates = (int)numbers[5],
            Duration = TimeSpan.FromTicks((long)numbers[6]),
            Eigenvalues = numbers.Slice(Facts, values).ToArray(),
            ResidualBounds = numbers.Slice(Facts + values, bounds).ToArray(),
        };
    }

    /// <summary>What a whole run of estimates found, as numbers; its vectors travel apart.</summary>
    public static double[] Write(EstimateResult result)
    {
        List<double> numbers = [result.OwnIndex, result.Vectors is null ? 0 : 1, result.Smallest, result.Found.Count];
        foreach ((int? stage, CurvatureEstimate estimate) in result.Found)
        {
            double[] facts = Write(estimate);
            numbers.Add(stage ?? -1);
            numbers.Add(facts.Length);
            numbers.AddRange(facts);
        }

        return [.. numbers];
    }

    /// <summary>What such numbers and vectors say.</summary>
    /// <param name="numbers">The numbers.</param>
    /// <param name="vectors">Gives the vectors, if there are any; owned by the result.</param>
    public static EstimateResult Read(ReadOnlySpan<double> numbers, Func<TorchSharp.torch.Tensor> vectors)
    {
        var found = new List<(int?, CurvatureEstimate)>();
        int at = 4;
        for (int i = 0; i < (int)numbers[3]; i++)
        {
            int length = (int)numbers[at + 1];
            found.Add((numbers[at] < 0 ? null : (int)numbers[at], Read(numbers.Slice(at + 2, length))));
            at += 2 + length;
        }

        return new EstimateResult(found, (int)numbers[0], numbers[1] > 0 ? vectors() : null, (int)numbers[2]);
    }
}

/// <summary>What a run of estimates found: one, or one for each stage that has a rank.</summary>
/// <param name="Found">The estimates without vectors, the same on every stage.</param>
/// <param name="OwnIndex">Which of them is this stage's, or the whole model's; -1 if the stage has none.</param>
/// <param name="Vectors">This stage's new eigenvectors, shape (pairs, n_s); null where the previous ones stay.</param>
/// <param name="Smallest">How many of the pairs are the smallest.</param>
internal sealed record EstimateResult(
    IReadOnlyList<(int? Stage, CurvatureEstimate Estimate)> Found, int OwnIndex, TorchSharp.torch.Tensor? Vectors, int Smallest)
{
    /// <summary>This stage's estimate, with the vectors, which belong to the caller from now on; null if it has none.</summary>
    public CurvatureEstimate? Own() => OwnIndex < 0 ? null : Found[OwnIndex].Estimate with
    {
        Subspace = Vectors is null ? null : new Subspace(Vectors, Found[OwnIndex].Estimate.Eigenvalues, Smallest),
    };
}
