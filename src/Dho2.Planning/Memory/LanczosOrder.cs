namespace Dho2.Planning;

/// <summary>The order that Lanczos estimates run to at most.</summary>
internal static class LanczosOrder
{
    // e^(i/2) rounded up, for i = 1, 2, ...: the dimensions from which one product more is made. Whole numbers, so that
    // every host comes to the same plan.
    private static readonly long[] Thresholds = MakeThresholds();

    /// <summary>The order of estimates of so many eigenpairs in a space of n dimensions: the stated one, or four for each pair.</summary>
    public static long Of(CurvatureOptions curvature, long pairs, long size) =>
        curvature.Order > 0 ? curvature.Order : System.Math.Max(4 * pairs, LeastFor(size));

    /// <summary>The least order in a space of n dimensions: 2 ln n, rounded up.</summary>
    public static int LeastFor(long size)
    {
        int order = 0;
        while (order < Thresholds.Length && size > Thresholds[order])
        {
            order++;
        }

        return order;
    }

    private static long[] MakeThresholds()
    {
        // 2 ln n <= i exactly where n <= e^(i/2); below 2^63 there are 87 such i.
        var thresholds = new long[87];
        for (int i = 0; i < thresholds.Length; i++)
        {
            thresholds[i] = (long)System.Math.Exp(i / 2.0);
        }

        return thresholds;
    }
}
