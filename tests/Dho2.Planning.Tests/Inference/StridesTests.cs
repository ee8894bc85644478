using System.Collections.Generic;
using System.Linq;
using CsCheck;
using static TorchSharp.torch;

namespace Dho2.Planning.Tests.Inference;

/// <summary>Whether the same elements in another shape are a view or a copy, beside libtorch.</summary>
public class StridesTests
{
    // No product of other sizes, so that what holds for a symbol and for this number is the same.
    private const long Batch = 7;

    private enum View
    {
        Transpose,
        Narrow,
        Step,
        Select,
        Unsqueeze,
        Expand,
    }

    private static readonly Gen<(long[] Sizes, (View View, int A, int B)[] Views, int First, int Last)> Case =
        from sizes in Gen.Long[1, 4].Array[2, 3]
        from views in Gen.Select(Gen.Enum<View>(), Gen.Int[0, 5], Gen.Int[0, 5]).Array[0, 3]
        from first in Gen.Int[0, 5]
        from last in Gen.Int[0, 5]
        select (sizes, views, first, last);

    [Fact]
    public void AReshapedTensorIsACopyExactlyWhereLibtorchMakesOne()
    {
        int copies = 0;
        int views = 0;
        Case.Sample(
            c =>
            {
                var m = new ModelBuilder();
                int value = m.Input("x", c.Sizes);
                using var scope = NewDisposeScope();
                Tensor x = zeros([Batch, .. c.Sizes]);
                Tensor y = x;
                foreach ((View view, int a, int b) in c.Views)
                {
                    (value, y) = Apply(m, value, y, view, a, b);
                }

                int first = System.Math.Min(c.First % (int)y.dim(), c.Last % (int)y.dim());
                int last = System.Math.Max(c.First % (int)y.dim(), c.Last % (int)y.dim());
                value = m.Operation("Tensor.flatten", ModelBuilder.Tensor, Argument.OfValue("this", value), Argument.OfInteger("start_dim", first), Argument.OfInteger("end_dim", last));
                y = y.flatten(first, last);

                // A copy does not see what is written.
                x.fill_(1);
                bool isCopy = y.sum().item<float>() == 0;
                copies += isCopy ? 1 : 0;
                views += isCopy ? 0 : 1;
                InferenceResult inferred = ShapeInference.Infer(m.Return(value));
                Assert.Equal(isCopy, inferred.Storages[value]!.Value.Storage != inferred.Storages[0]!.Value.Storage);
                Assert.Equal(y.shape, inferred.Values[value].Shape!.Value.Select(size => size.Evaluate(_ => Batch)!.Value));
            },
            iter: 2000,
            threads: 1);
        Assert.True(copies > 100 && views > 100, $"{copies} copies, {views} views");
    }

    /// <summary>The factors of a product over heads are copies of transposed views: what they were taken of goes with the forward.</summary>
    [Fact]
    public void AProductOverHeadsKeepsCopiesOfItsFactors()
    {
        var m = new ModelBuilder();
        int x = m.Input("x", 7, 16);
        int query = Heads(m, m.Call(Linear(m, "q"), x));
        int key = Heads(m, m.Call(Linear(m, "k"), x));
        int transposed = m.Operation("Tensor.transpose", ModelBuilder.Tensor, Argument.OfValue("this", key), Argument.OfInteger("dim0", 2), Argument.OfInteger("dim1", 3));
        int scores = m.Operation("Tensor.matmul", ModelBuilder.Tensor, Argument.OfValue("this", query), Argument.OfValue("target", transposed));
        ModelDescription model = m.Return(scores);
        var activations = StageActivations.Of(
            Enumerable.Range(0, model.Operations.Count), model, ShapeInference.Infer(model), [], [scores], isFirst: true, isLast: false);

        // Two factors of seven by sixteen, and the scores, of four heads, which leave; the projections are there for a moment.
        const int Factor = 7 * 16;
        Assert.Equal(sizeof(float) * ((2 * Factor) + (4 * 7 * 7)), activations.Kept(1));
        Assert.Equal(sizeof(float) * System.Math.Max(2 * Factor, 2 * 4 * 7 * 7), activations.Temporary(1));
    }

    private static int Linear(ModelBuilder m, string name) =>
        m.Layer(name, 0, "Linear", null, Argument.OfInteger("inputSize", 16), Argument.OfInteger("outputSize", 16));

    private static int Heads(ModelBuilder m, int value)
    {
        int split = m.Operation("Tensor.view", ModelBuilder.Tensor, Argument.OfValue("this", value), List("shape", -1, 7, 4, 4));
        return m.Operation("Tensor.transpose", ModelBuilder.Tensor, Argument.OfValue("this", split), Argument.OfInteger("dim0", 1), Argument.OfInteger("dim1", 2));
    }

    private static Argument List(string name, params long[] numbers) =>
        Argument.OfList(name, numbers.Select(number => Argument.OfInteger("", number)).ToEquatableArray());

    private static (int Value, Tensor Tensor) Apply(ModelBuilder m, int value, Tensor y, View view, int a, int b)
    {
        int rank = (int)y.dim();
        int axis = a % rank;
        Argument self = Argument.OfValue("this", value);
        Argument dim = Argument.OfInteger("dim", axis);
        switch (view)
        {
            case View.Transpose:
                return (m.Operation("Tensor.transpose", ModelBuilder.Tensor, self, Argument.OfInteger("dim0", axis), Argument.OfInteger("dim1", b % rank)), y.transpose(axis, b % rank));
            case View.Narrow when y.shape[axis] > 1 && y.shape[axis] != Batch:
                return (m.Operation("Tensor.narrow", ModelBuilder.Tensor, self, dim, Argument.OfInteger("start", 1), Argument.OfInteger("length", y.shape[axis] - 1)),
                    y.narrow(axis, 1, y.shape[axis] - 1));
            case View.Step when y.shape[axis] > 1 && y.shape[axis] != Batch:
                return (m.Operation("Tensor.slice", ModelBuilder.Tensor, self, dim, Argument.OfInteger("start", 0), Argument.OfInteger("finish", y.shape[axis]), Argument.OfInteger("step", 2)),
                    y.slice(axis, 0, y.shape[axis], 2));
            case View.Select when rank > 2 && y.shape[axis] != Batch:
                return (m.Operation("Tensor.select", ModelBuilder.Tensor, self, dim, Argument.OfInteger("index", 0)), y.select(axis, 0));
            case View.Unsqueeze:
                return (m.Operation("Tensor.unsqueeze", ModelBuilder.Tensor, self, dim), y.unsqueeze(axis));
            case View.Expand when y.shape[axis] == 1:
                long[] sizes = [.. y.shape.Select((size, i) => i == axis ? 3 : -1L)];
                return (m.Operation("Tensor.expand", ModelBuilder.Tensor, self, List("sizes", sizes)), y.expand(sizes));
            default:
                return (value, y);
        }
    }
}
