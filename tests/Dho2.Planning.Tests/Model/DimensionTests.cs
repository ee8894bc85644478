using CsCheck;

namespace Dho2.Planning.Tests.Model;

public class DimensionTests
{
    private static readonly Gen<Dimension> Any = Gen.Select(Gen.Long[-50, 50], Gen.Long[-3, 3], Gen.Long[-3, 3], (c, n, t) =>
        Dimension.Of(c) + (Dimension.Of(n) * Dimension.Of("N")) + (Dimension.Of(t) * Dimension.Of("N") * Dimension.Of("T")));

    [Fact]
    public void ArithmeticAgreesWithNumbers() =>
        Gen.Select(Any, Any, Gen.Long[1, 30], Gen.Long[1, 30], Gen.Long[1, 9]).Sample((a, b, n, t, divisor) =>
        {
            long? ValueOf(string symbol) => symbol == "N" ? n : t;
            long x = a.Evaluate(ValueOf)!.Value;
            long y = b.Evaluate(ValueOf)!.Value;
            Assert.Equal(x + y, (a + b).Evaluate(ValueOf));
            Assert.Equal(x - y, (a - b).Evaluate(ValueOf));
            Assert.Equal(x * y, (a * b).Evaluate(ValueOf));
            Dimension quotient = a.FloorDivide(divisor);
            Assert.True(!quotient.IsKnown || quotient.Evaluate(ValueOf) == (long)System.Math.Floor((double)x / divisor));
            Dimension exact = (a * b).DivideExactly(b);
            Assert.True(!exact.IsKnown || exact == a);
            Assert.Equal(a + b, b + a);
            Assert.True(!a.CertainlyDiffers(b) || x != y);
        });

    [Fact]
    public void ItReadsAsItIsWritten()
    {
        Dimension n = Dimension.Of("N");
        Assert.Equal("2*N*T - 3*N + 1", ((Dimension.Of(2) * Dimension.Of("T") * n) - (Dimension.Of(3) * n) + Dimension.One).ToString());
        Assert.Equal("?", Dimension.Unknown.ToString());
        Assert.Equal("0", (n - n).ToString());
    }

    [Fact]
    public void OverflowIsUnknown()
    {
        Assert.False((Dimension.Of(long.MaxValue) * Dimension.Of(2)).IsKnown);
        Assert.False((Dimension.Of(long.MaxValue) + Dimension.One).IsKnown);
        Assert.False((Dimension.Of(long.MinValue) * Dimension.Of(-1)).IsKnown);
        Assert.Null((Dimension.Of(long.MaxValue) * Dimension.Of("N")).Evaluate(_ => 2));
    }
}
