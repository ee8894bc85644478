using System;
using System.Threading;
using Dho2.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Tests.Numerics;

public class ScalarOperationsTests
{
    private const int Calls = 20_000;

    [Fact]
    public void NumbersLiveAsLongAsTheirOperationsWhateverIsCollectedMeanwhile()
    {
        using Tensor tensor = zeros(1);
        using Tensor one = ones(1);
        bool isOver = false;
        var collector = new Thread(() =>
        {
            while (!Volatile.Read(ref isOver))
            {
                GC.Collect(0);
                GC.WaitForPendingFinalizers();
            }
        });
        collector.Start();
        try
        {
            for (int i = 0; i < Calls; i++)
            {
                tensor.AddScaled(one, 2);
                tensor.IncreaseBy(-1);
            }
        }
        finally
        {
            Volatile.Write(ref isOver, true);
            collector.Join();
        }

        Assert.Equal(Calls, tensor.ToDouble());
    }

    [Fact]
    public void EachIsItsOperation()
    {
        using Tensor three = ones(2, ScalarType.Float64) * 3;
        Assert.Equal(6, three.clone().ScaleBy(2)[0].ToDouble());
        Assert.Equal(1.5, three.clone().DivideBy(2)[0].ToDouble());
        Assert.Equal(6, three.clone().Increase(three)[0].ToDouble());
        Assert.Equal(2, ones(1, ScalarType.Int64).Increase(ones(1, ScalarType.Int64)).ToInt64());
        Assert.Equal(9, three.clone().AddScaled(three, 2)[0].ToDouble());
        Assert.Equal(21, three.clone().AddScaledProduct(three, three, 2)[0].ToDouble());
        Assert.Equal(5, three.clone().IncreaseBy(2)[0].ToDouble());
        Assert.Equal(6, three.Times(2)[0].ToDouble());
        Assert.Equal(1.5, three.Over(2)[0].ToDouble());
        Assert.Equal(2, three.Filled(2)[0].ToDouble());
        Assert.Equal(3, three[1].ToDouble());
    }
}
