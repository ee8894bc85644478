using System.Linq;
using CsCheck;

namespace Dho2.Planning.Tests.Catalogue;

/// <summary>Random tensors and arguments, wrong ones among them.</summary>
internal static class Generators
{
    public static readonly Gen<DType> AnyType = Gen.Frequency(
        (6, Gen.Const(DType.Float32)), (2, Gen.Const(DType.Float64)), (1, Gen.Const(DType.Int64)), (1, Gen.Const(DType.Int32)),
        (1, Gen.Const(DType.Bool)), (1, Gen.Const(DType.BFloat16)), (1, Gen.Const(DType.UInt8)));

    public static readonly Gen<DType> Floating = Gen.Frequency((3, Gen.Const(DType.Float32)), (1, Gen.Const(DType.Float64)));

    /// <summary>Sizes of the given number of dimensions.</summary>
    public static Gen<long[]> Shape(int minRank, int maxRank, long max = 5) => Gen.Long[1, max].Array[minRank, maxRank];

    public static Gen<TensorSpec> Tensor(int minRank, int maxRank, long max = 5, Gen<DType>? type = null) =>
        Gen.Select(type ?? AnyType, Shape(minRank, maxRank, max), (t, s) => new TensorSpec(t, s));

    /// <summary>Two shapes that mostly broadcast.</summary>
    public static readonly Gen<(long[] A, long[] B)> BroadcastPair =
        from common in Shape(0, 4)
        from onesA in Gen.Bool.Array[4]
        from onesB in Gen.Bool.Array[4]
        from cutA in Gen.Int[0, 2]
        from cutB in Gen.Int[0, 2]
        from wrong in Gen.Int[0, 9]
        select (
            common.Select((d, i) => onesA[i] && onesB[(i + 1) % 4] ? 1 : d).Skip(cutA).ToArray(),
            common.Select((d, i) => onesB[i] && onesA[(i + 1) % 4] ? 1 : d + (wrong == 0 && i == 0 ? 1 : 0)).Skip(cutB).ToArray());

    /// <summary>A dimension's number: mostly one that is there.</summary>
    public static Gen<long> Axis(int rank) => Gen.Frequency((8, Gen.Long[-System.Math.Max(rank, 1), System.Math.Max(rank, 1) - 1]), (1, Gen.Long[-7, 7]));

    /// <summary>One of the values.</summary>
    public static Gen<T> Among<T>(params T[] values) => Gen.Int[0, values.Length - 1].Select(i => values[i]);

    /// <summary>The values in a random order.</summary>
    public static Gen<long[]> Shuffled(long[] values) =>
        Gen.Int.Array[values.Length].Select(keys => values.Zip(keys).OrderBy(p => p.Second).Select(p => p.First).ToArray());
}
