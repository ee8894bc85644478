using System;
using System.Linq;
using CsCheck;
using static Dho2.Planning.Tests.Catalogue.Generators;

namespace Dho2.Planning.Tests.Catalogue;

public class OperationTests
{
    [Theory]
    [MemberData(nameof(Unary))]
    public void FunctionsOfOneTensor(string name) => Agreement.Check(Tensor(0, 4).Select(t => new CallCase(name, [(FirstOf(name), t)])), 20);

    public static TheoryData<string> Unary()
    {
        var data = new TheoryData<string>();
        foreach (string name in new[]
        {
            "relu", "relu6", "sigmoid", "tanh", "gelu", "silu", "mish", "selu", "hardsigmoid", "hardswish", "softplus", "exp", "expm1", "exp2", "log", "log1p", "log2",
            "log10", "sqrt", "rsqrt", "reciprocal", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "erf", "square", "abs", "neg", "sign", "floor", "ceil",
            "round", "trunc", "isnan", "isinf", "isfinite", "logical_not", "detach", "clone", "contiguous", "leaky_relu", "hardtanh", "softsign", "tanhshrink", "logsigmoid", "log_sigmoid",
        })
        {
            foreach (string spelling in new[] { "Tensor.", "TorchSharp.torch.", "TorchSharp.torch.nn.functional." })
            {
                if (TorchOracle.Exists(spelling + name) && spelling + name is not "Tensor.leaky_relu" and not "Tensor.hardtanh")
                {
                    data.Add(spelling + name);
                }
            }
        }

        return data;
    }

    [Theory]
    [InlineData("operator +", "left", "right")]
    [InlineData("operator -", "left", "right")]
    [InlineData("operator *", "left", "right")]
    [InlineData("operator /", "left", "right")]
    [InlineData("operator <", "left", "right")]
    [InlineData("operator >=", "left", "right")]
    [InlineData("operator ==", "left", "right")]
    [InlineData("Tensor.add", "this", "target")]
    [InlineData("Tensor.mul", "this", "target")]
    [InlineData("Tensor.sub", "this", "target")]
    [InlineData("Tensor.div", "this", "target")]
    [InlineData("Tensor.pow", "this", "exponent")]
    [InlineData("Tensor.maximum", "this", "other")]
    [InlineData("Tensor.minimum", "this", "other")]
    [InlineData("Tensor.eq", "this", "target")]
    [InlineData("Tensor.lt", "this", "target")]
    [InlineData("TorchSharp.torch.add", "left", "right")]
    [InlineData("TorchSharp.torch.maximum", "input", "other")]
    [InlineData("TorchSharp.torch.max", "input", "other")]
    public void FunctionsOfTwoTensors(string name, string first, string second) => Agreement.Check(
        Gen.Select(BroadcastPair, AnyType, AnyType, (s, a, b) => new CallCase(name, [(first, new TensorSpec(a, s.A)), (second, new TensorSpec(b, s.B))])));

    [Theory]
    [InlineData("operator +", "left", "right")]
    [InlineData("operator -", "right", "left")]
    [InlineData("operator *", "left", "right")]
    [InlineData("operator /", "left", "right")]
    [InlineData("operator /", "right", "left")]
    [InlineData("operator >", "left", "right")]
    [InlineData("Tensor.pow", "this", "exponent")]
    [InlineData("Tensor.add", "this", "scalar")]
    [InlineData("Tensor.clamp_min", "this", "min")]
    public void ATensorAndANumber(string name, string tensor, string number) => Agreement.Check(
        Gen.Select(Tensor(0, 3), Gen.OneOf(Gen.Const((object)2L), Gen.Const((object)1.5)), (t, n) => new CallCase(name, [(tensor, t), (number, n)])));

    [Fact]
    public void Negation() => Agreement.Check(Tensor(0, 3).Select(t => new CallCase("operator -", [("operand", t)])));

    [Theory]
    [InlineData("view")]
    [InlineData("reshape")]
    public void Reshapes(string name) => Agreement.Check(
        from t in Tensor(0, 4)
        from sizes in Gen.OneOf(
            Shuffled(t.Shape),
            Gen.Int[0, 4].Select(i => t.Shape.Select((d, j) => i == j ? -1 : d).ToArray()),
            Gen.Const(new long[] { -1 }),
            Gen.Const(new long[] { t.Shape.FirstOrDefault(1), -1 }),
            Gen.Long[-2, 6].Array[0, 3])
        select new CallCase("Tensor." + name, [("this", t), ("shape", sizes)]));

    [Theory]
    [InlineData("Tensor.flatten", "this")]
    [InlineData("TorchSharp.torch.flatten", "input")]
    public void Flattens(string name, string first) => Agreement.Check(
        from t in Tensor(0, 5)
        from start in Axis(t.Shape.Length)
        from end in Axis(t.Shape.Length)
        select new CallCase(name, [(first, t), ("start_dim", start), ("end_dim", end)]));

    [Fact]
    public void Unflattens() => Agreement.Check(
        from t in Tensor(1, 3, 12)
        from dim in Axis(t.Shape.Length)
        from sizes in Gen.OneOf(Gen.Const(new long[] { 2, -1 }), Gen.Const(new long[] { -1, 3 }), Gen.Long[1, 4].Array[1, 3])
        select new CallCase("Tensor.unflatten", [("this", t), ("dim", dim), ("sizes", sizes)]));

    [Theory]
    [InlineData("squeeze")]
    [InlineData("unsqueeze")]
    public void SqueezesAndUnsqueezes(string name) => Agreement.Check(
        from t in Tensor(0, 4, 2)
        from dim in Axis(t.Shape.Length + 1)
        select new CallCase("Tensor." + name, [("this", t), ("dim", dim)]));

    [Fact]
    public void SqueezesAll() => Agreement.Check(Tensor(0, 4, 2).Select(t => new CallCase("Tensor.squeeze", [("this", t)])));

    [Fact]
    public void Permutes() => Agreement.Check(
        from t in Tensor(0, 4)
        from order in Gen.Frequency(
            (4, Shuffled(Enumerable.Range(0, t.Shape.Length).Select(i => (long)i).ToArray())), (1, Gen.Long[-5, 5].Array[0, 4]))
        select new CallCase("Tensor.permute", [("this", t), ("permutation", order)]));

    [Theory]
    [InlineData("Tensor.transpose", "this")]
    [InlineData("TorchSharp.torch.transpose", "input")]
    [InlineData("Tensor.swapaxes", "this")]
    public void Transposes(string name, string first) => Agreement.Check(
        from t in Tensor(0, 4)
        from a in Axis(t.Shape.Length)
        from b in Axis(t.Shape.Length)
        select new CallCase(name, [(first, t), ("dim0", a), ("dim1", b)]));

    [Theory]
    [InlineData("Tensor.t")]
    [InlineData("Tensor.T")]
    [InlineData("Tensor.mT")]
    public void TransposesWithoutArguments(string name) => Agreement.Check(Tensor(0, 3).Select(t => new CallCase(name, [("this", t)])));

    [Fact]
    public void MovesDimensions() => Agreement.Check(
        from t in Tensor(1, 4)
        from a in Shuffled(Enumerable.Range(0, t.Shape.Length).Select(i => (long)i).ToArray())
        from b in Shuffled(Enumerable.Range(0, t.Shape.Length).Select(i => (long)i).ToArray())
        from count in Gen.Int[1, t.Shape.Length]
        select new CallCase("Tensor.movedim", [("this", t), ("source", a.Take(count).ToArray()), ("destination", b.Take(count).ToArray())]));

    [Fact]
    public void Expands() => Agreement.Check(
        from t in Tensor(0, 3, 2)
        from leading in Gen.Long[1, 3].Array[0, 2]
        from same in Gen.Long[-1, 3].Array[t.Shape.Length]
        select new CallCase("Tensor.expand", [("this", t), ("sizes", leading.Concat(same.Select((s, i) => s == 3 ? t.Shape[i] : s)).ToArray())]));

    [Theory]
    [InlineData("TorchSharp.torch.cat")]
    [InlineData("TorchSharp.torch.stack")]
    public void Joins(string name) => Agreement.Check(
        from shape in Shape(1, 4)
        from count in Gen.Int[1, 3]
        from sizes in Gen.Long[1, 4].Array[3]
        from axis in Gen.Int[0, shape.Length - 1]
        from change in Gen.Int[0, 2]
        from types in AnyType.Array[3]
        from dim in Gen.Frequency((6, Gen.Const((long)axis)), (1, Axis(shape.Length)))
        let tensors = Enumerable.Range(0, count).Select(i => new TensorSpec(types[i], shape.Select((d, j) => j == axis && change > 0 ? sizes[i] : d).ToArray())).ToArray()
        select new CallCase(name, [("tensors", tensors), ("dim", dim)]));

    [Fact]
    public void Chunks() => Agreement.Check(
        from t in Tensor(1, 3, 9)
        from dim in Axis(t.Shape.Length)
        from chunks in Gen.Long[0, 10]
        select new CallCase("Tensor.chunk", [("this", t), ("chunks", chunks), ("dim", dim)]));

    [Fact]
    public void SplitsIntoEqualParts() => Agreement.Check(
        from t in Tensor(1, 3, 9)
        from dim in Axis(t.Shape.Length)
        from size in Gen.Long[0, 10]
        select new CallCase("Tensor.split", [("this", t), ("size", size), ("dim", dim)]));

    [Fact]
    public void SplitsIntoGivenParts() => Agreement.Check(
        from sizes in Gen.Long[0, 4].Array[1, 3]
        from other in Shape(0, 2)
        from wrong in Gen.Int[0, 5]
        select new CallCase("Tensor.split", [("this", new TensorSpec(DType.Float32, other.Append(sizes.Sum() + (wrong == 0 ? 1 : 0)).ToArray())), ("sizes", sizes), ("dim", -1L)]));

    [Fact]
    public void SplitsIntoANumberOfParts() => Agreement.Check(
        from t in Tensor(1, 3, 9)
        from parts in Gen.Long[1, 5]
        from dim in Axis(t.Shape.Length)
        select new CallCase("Tensor.tensor_split", [("this", t), ("size", parts), ("dim", dim)]));

    [Fact]
    public void Unbinds() => Agreement.Check(
        from t in Tensor(1, 3)
        from dim in Axis(t.Shape.Length)
        select new CallCase("Tensor.unbind", [("this", t), ("dimension", dim)]));

    [Theory]
    [InlineData("Tensor.repeat", "sizes")]
    [InlineData("Tensor.tile", "reps")]
    public void Repeats(string name, string argument) => Agreement.Check(
        from t in Tensor(0, 3)
        from times in Gen.Long[1, 3].Array[0, 4]
        select new CallCase(name, [("this", t), (argument, times)]));

    [Fact]
    public void Selects() => Agreement.Check(
        from t in Tensor(0, 3)
        from dim in Axis(t.Shape.Length)
        from index in Gen.Long[-5, 4]
        select new CallCase("Tensor.select", [("this", t), ("dim", dim), ("index", index)]));

    [Fact]
    public void Narrows() => Agreement.Check(
        from t in Tensor(1, 3)
        from dim in Axis(t.Shape.Length)
        from start in Gen.Long[-3, 5]
        from length in Gen.Long[0, 5]
        select new CallCase("Tensor.narrow", [("this", t), ("dim", dim), ("start", start), ("length", length)]));

    [Fact]
    public void Slices() => Agreement.Check(
        from t in Tensor(1, 3)
        from dim in Axis(t.Shape.Length)
        from start in Gen.Long[-6, 6]
        from finish in Gen.Long[-6, 6]
        from step in Gen.Long[0, 3]
        select new CallCase("Tensor.slice", [("this", t), ("dim", dim), ("start", start), ("finish", finish), ("step", step)]));

    [Fact]
    public void SelectsByIndex() => Agreement.Check(
        from t in Tensor(1, 3)
        from dim in Axis(t.Shape.Length)
        from index in Tensor(0, 2, 3, Gen.Const(DType.Int64))
        select new CallCase("Tensor.index_select", [("this", t), ("dim", dim), ("index", index)]));

    [Theory]
    [InlineData("sum", "dim")]
    [InlineData("mean", "dimensions")]
    [InlineData("amax", "dims")]
    public void ReducesSeveralDimensions(string name, string axes) => Agreement.Check(
        from t in Tensor(0, 4)
        from dims in Gen.Frequency((4, Axis(t.Shape.Length).Array[0, 3].Select(a => a.Distinct().ToArray())), (1, Gen.Long[-5, 5].Array[1, 2]))
        from keep in Gen.Bool
        select new CallCase("Tensor." + name, [("this", t), (axes, dims), ("keepdim", keep)]));

    /// <summary>What torch refuses here ends the process: only what it takes is tried.</summary>
    [Theory]
    [InlineData("var")]
    [InlineData("std")]
    public void Varies(string name) => Agreement.Check(
        from t in Tensor(1, 4, type: Floating).Select(t => t with { Shape = [.. t.Shape.Select(d => d + 1)] })
        from dims in Shuffled(Enumerable.Range(0, t.Shape.Length).Select(i => (long)i).ToArray())
        from count in Gen.Int[1, t.Shape.Length]
        from keep in Gen.Bool
        select new CallCase("Tensor." + name, [("this", t), ("dimensions", dims.Take(count).ToArray()), ("keepdim", keep)]));

    [Theory]
    [InlineData("sum")]
    [InlineData("mean")]
    [InlineData("prod")]
    [InlineData("max")]
    [InlineData("min")]
    [InlineData("argmax")]
    [InlineData("var")]
    [InlineData("std")]
    [InlineData("norm")]
    [InlineData("all")]
    [InlineData("any")]
    public void ReducesAll(string name) => Agreement.Check(Tensor(0, 3).Select(t => new CallCase("Tensor." + name, [("this", t)])), 20);

    [Theory]
    [InlineData("max")]
    [InlineData("min")]
    [InlineData("argmax")]
    [InlineData("prod")]
    [InlineData("logsumexp")]
    [InlineData("all")]
    [InlineData("norm")]
    [InlineData("sum")]
    public void ReducesOneDimension(string name) => Agreement.Check(
        from t in Tensor(0, 3)
        from dim in Axis(t.Shape.Length)
        from keep in Gen.Bool
        select new CallCase("Tensor." + name, [("this", t), ("dim", dim), ("keepdim", keep)]));

    [Theory]
    [InlineData("sum", "type")]
    [InlineData("prod", "type")]
    public void ReducesInAnotherType(string name, string argument) => Agreement.Check(
        from t in Tensor(0, 2)
        from type in Among("Float32", "Float64", "Int64", "Byte")
        select new CallCase("Tensor." + name, [("this", t), (argument, type)]));

    [Fact]
    public void SumsUp() => Agreement.Check(
        from t in Tensor(0, 3)
        from dim in Axis(t.Shape.Length)
        select new CallCase("Tensor.cumsum", [("this", t), ("dim", dim)]));

    [Fact]
    public void TakesTheLargest() => Agreement.Check(
        from t in Tensor(0, 3)
        from dim in Axis(t.Shape.Length)
        from k in Gen.Long[0, 5]
        select new CallCase("Tensor.topk", [("this", t), ("k", k), ("dim", dim)]));

    [Fact]
    public void Sorts() => Agreement.Check(Tensor(1, 3).Select(t => new CallCase("Tensor.sort", [("this", t)])));

    /// <summary>What torch refuses here ends the process: only what it takes is tried.</summary>
    [Theory]
    [InlineData("Tensor.matmul", "this", "target")]
    [InlineData("TorchSharp.torch.matmul", "input", "target")]
    public void MultipliesMatrices(string name, string first, string second) => Agreement.Check(
        from batch in BroadcastPair
        from inner in Gen.Long[1, 4]
        from outer in Gen.Long[1, 4].Array[2]
        from ranks in Gen.Int[0, 4].Array[2]
        let a = ranks[0] == 0 ? [inner] : batch.A.TakeLast(2).Concat([outer[0], inner]).ToArray()
        let b = ranks[1] == 0 ? [inner] : batch.B.TakeLast(2).Concat([inner, outer[1]]).ToArray()
        where a.Length < 3 || b.Length < 3 || CanBroadcast(a[..^2], b[..^2])
        select new CallCase(name, [(first, new TensorSpec(a)), (second, new TensorSpec(b))]));

    [Theory]
    [InlineData("(N, 3)", "(4, 5)", "`matmul` cannot multiply (N, 3) and (4, 5): 3 columns against 4 rows")]
    [InlineData("(2, N, 3)", "(3, 3, 5)", "`matmul` cannot multiply (2, N, 3) and (3, 3, 5): their leading dimensions do not agree")]
    [InlineData("()", "(3)", "`matmul` needs at least one dimension on both sides, gets () and (3)")]
    public void RefusesMatricesThatDoNotFit(string left, string right, string message) =>
        Assert.Equal(message, Agreement.ProblemOf("Tensor.matmul", ("this", left), ("target", right)));

    [Theory]
    [InlineData("Tensor.mm", "target", 2, 2)]
    [InlineData("Tensor.bmm", "batch2", 3, 3)]
    [InlineData("Tensor.mv", "target", 2, 1)]
    [InlineData("Tensor.dot", "target", 1, 1)]
    public void MultipliesMatricesOfARank(string name, string second, int left, int right) => Agreement.Check(
        from sizes in Gen.Long[1, 3].Array[4]
        from wrong in Gen.Int[0, 9]
        let a = new[] { sizes[0], sizes[1], sizes[2] }.Skip(3 - left - (wrong == 0 && left < 3 ? 1 : 0)).ToArray()
        let b = (right == 1 ? [sizes[2]] : new[] { wrong == 1 ? sizes[3] : sizes[0], sizes[2], sizes[3] }.Skip(3 - right).ToArray())
        select new CallCase(name, [("this", new TensorSpec(a)), (second, new TensorSpec(b))]));

    [Fact]
    public void Outer() => Agreement.Check(Gen.Select(Tensor(1, 2), Tensor(1, 1), (a, b) => new CallCase("Tensor.outer", [("this", a), ("vec2", b)])));

    [Fact]
    public void MultipliesAndAdds() => Agreement.Check(
        from s in Gen.Long[1, 3].Array[3]
        from own in Gen.OneOf(Gen.Const(new[] { s[0], s[2] }), Gen.Const(new[] { s[2] }), Shape(0, 3, 3))
        select new CallCase("Tensor.addmm", [("this", new TensorSpec(own)), ("mat1", new TensorSpec(s[0], s[1])), ("mat2", new TensorSpec(s[1], s[2]))]));

    [Fact]
    public void Einsums() => Agreement.Check(
        from s in Gen.Long[1, 4].Array[5]
        from equation in Among("bij,bjk->bik", "bhqd,bhkd->bhqk", "ij,jk", "ij->ji", "i,i->", "ij,ij->i", "bij, bkj -> bik", "ij->", "bij,bjk->bx")
        let letters = equation.Replace(" ", "").Split("->")[0].Split(',')
        let sizes = letters.Select(l => l.Select(x => s[x % 5]).ToArray()).ToArray()
        select new CallCase("TorchSharp.torch.einsum", [("equation", equation), ("tensors", sizes.Select(x => new TensorSpec(x)).ToArray())]));

    [Fact]
    public void AppliesLinearMaps() => Agreement.Check(
        from x in Shape(1, 4)
        from output in Gen.Long[1, 4]
        from wrong in Gen.Int[0, 5]
        select new CallCase("TorchSharp.torch.nn.functional.linear", [("input", new TensorSpec(x)), ("weights", new TensorSpec(output, x[^1] + (wrong == 0 ? 1 : 0)))]));

    [Theory]
    [InlineData("Tensor.softmax", "this")]
    [InlineData("Tensor.log_softmax", "this")]
    [InlineData("TorchSharp.torch.nn.functional.softmax", "input")]
    [InlineData("TorchSharp.torch.nn.functional.log_softmax", "x")]
    [InlineData("TorchSharp.torch.nn.functional.glu", "input")]
    public void NormalisesOverADimension(string name, string first) => Agreement.Check(
        from t in Tensor(0, 3, type: Gen.OneOf(Floating, AnyType))
        from dim in Axis(t.Shape.Length)
        select new CallCase(name, [(first, t), ("dim", dim)]));

    [Fact]
    public void NormalisesLastDimensions() => Agreement.Check(
        from x in Shape(1, 4)
        from count in Gen.Int[1, x.Length]
        from wrong in Gen.Int[0, 5]
        select new CallCase("TorchSharp.torch.nn.functional.layer_norm", [("input", new TensorSpec(x)), ("normalized_shape", wrong == 0 ? new long[] { 2, 3 } : x[^count..])]));

    [Theory]
    [InlineData(1, false)]
    [InlineData(2, false)]
    [InlineData(3, false)]
    [InlineData(2, true)]
    public void Convolves(int dimensions, bool transposed) => Agreement.Check(
        from batch in Gen.Long[1, 2].Array[0, 2]
        from channels in Gen.Long[1, 2].Array[2]
        from size in Gen.Long[1, 7].Array[dimensions]
        from kernel in Gen.Long[1, 3].Array[dimensions]
        from stride in Gen.Long[1, 3]
        from padding in Gen.Long[0, 2]
        from groups in Gen.Long[1, 2]
        from wrong in Gen.Int[0, 9]

            // A transposed convolution without a result ends the process.
        where !transposed || size.Zip(kernel).All(p => ((p.First - 1) * stride) - (2 * padding) + p.Second > 0)
        let weight = transposed ? new[] { channels[0] * groups, channels[1] } : [channels[1] * groups, channels[0]]
        select new CallCase(
            $"TorchSharp.torch.nn.functional.conv{(transposed ? "_transpose" : "")}{dimensions}d",
            [
                ("input", new TensorSpec(batch.Append((channels[0] * groups) + (wrong == 0 ? 1 : 0)).Concat(size).ToArray())),
                ("weight", new TensorSpec(weight.Concat(kernel).ToArray())),
                dimensions == 1 ? ("stride", stride) : ("strides", Enumerable.Repeat(stride, dimensions).ToArray()),
                ("padding", dimensions == 1 ? padding : Enumerable.Repeat(padding, dimensions).ToArray()),
                ("groups", groups),
            ]));

    [Theory]
    [InlineData("max_pool2d")]
    [InlineData("avg_pool2d")]
    [InlineData("max_pool1d")]
    [InlineData("avg_pool1d")]
    public void Pools(string name) => Agreement.Check(
        from t in Tensor(name[^2] - '0', (name[^2] - '0') + 3, 7, Floating)
        from kernel in Gen.Long[1, 3]
        from stride in Among<object?>(null, 1L, 2L, 3L)
        from padding in Gen.Long[0, 2]
        from ceil in Gen.Bool
        select new CallCase("TorchSharp.torch.nn.functional." + name, [("input", t), ("kernel_size", kernel), ("stride", stride), ("padding", padding), ("ceil_mode", ceil)]));

    [Theory]
    [InlineData("adaptive_avg_pool1d")]
    [InlineData("adaptive_avg_pool2d")]
    public void PoolsToASize(string name) => Agreement.Check(
        from t in Tensor(name[^2] - '0', (name[^2] - '0') + 3, 7, Floating)
        from size in Gen.Long[1, 4]
        select new CallCase("TorchSharp.torch.nn.functional." + name, [("input", t), ("output_size", size)]));

    [Fact]
    public void Creates() => Agreement.Check(
        from name in Among("zeros", "ones", "rand", "randn", "empty")
        from sizes in Shape(0, 4)
        from type in Among<string?>(null, "Float64", "Float32")
        select new CallCase("TorchSharp.torch." + name, [("size", sizes), ("dtype", type)]));

    [Fact]
    public void CreatesRanges() => Agreement.Check(
        from start in Gen.Long[-5, 5]
        from stop in Gen.Long[-3, 9]
        from step in Gen.Long[1, 3]
        select new CallCase("TorchSharp.torch.arange", [("start", start), ("stop", stop), ("step", step)]));

    [Theory]
    [InlineData("zeros_like")]
    [InlineData("ones_like")]
    [InlineData("randn_like")]
    public void CreatesAlike(string name) => Agreement.Check(
        Gen.Select(Tensor(0, 3, type: Floating), Among<string?>(null, "Int64", "Float64").Where(t => name != "randn_like" || t != "Int64"), (t, type) =>
            new CallCase("Tensor." + name, [("this", t), ("dtype", type)])));

    [Theory]
    [InlineData("Float32")]
    [InlineData("Int64")]
    [InlineData("Bool")]
    public void Converts(string type) => Agreement.Check(Tensor(0, 3).Select(t => new CallCase("Tensor.to_type", [("this", t), ("type", type)])));

    [Theory]
    [InlineData("cross_entropy")]
    [InlineData("nll_loss")]
    public void ComparesClasses(string name) => Agreement.Check(
        from x in Shape(1, 4)
        from type in Gen.Frequency((6, Gen.Const(DType.Int64)), (1, Gen.Const(DType.Float32)), (1, Gen.Const(DType.Int32)))
        from wrong in Gen.Int[0, 5]
        from reduction in Among("Mean", "Sum", "None")
        let target = type == DType.Float32 ? x : x.Where((_, i) => i != (x.Length == 1 ? 0 : 1)).Select((d, i) => d + (wrong == 0 && i == 0 ? 1 : 0)).ToArray()
        select new CallCase("TorchSharp.torch.nn.functional." + name, [("input", new TensorSpec(x)), ("target", new TensorSpec(type, target)), ("reduction", reduction)]));

    [Theory]
    [InlineData("mse_loss")]
    [InlineData("l1_loss")]
    [InlineData("smooth_l1_loss")]
    [InlineData("huber_loss")]
    public void ComparesNumbers(string name) => Agreement.Check(
        from shapes in BroadcastPair
        from reduction in Among("Mean", "Sum", "None")
        select new CallCase("TorchSharp.torch.nn.functional." + name, [("input", new TensorSpec(shapes.A)), ("target", new TensorSpec(shapes.B)), ("reduction", reduction)]));

    [Fact]
    public void FillsByAMask() => Agreement.Check(
        from s in BroadcastPair
        from type in Gen.Frequency((4, Gen.Const(DType.Bool)), (1, Gen.Const(DType.Int64)))
        select new CallCase("Tensor.masked_fill", [("this", new TensorSpec(s.A)), ("mask", new TensorSpec(type, s.B)), ("value", 1.5)]));

    [Fact]
    public void ChoosesByACondition() => Agreement.Check(
        from s in BroadcastPair
        from types in AnyType.Array[2]
        select new CallCase("TorchSharp.torch.where", [("condition", new TensorSpec(DType.Bool, s.A)), ("x", new TensorSpec(types[0], s.B)), ("y", new TensorSpec(types[1], s.A))]));

    private static string FirstOf(string name) => name.StartsWith("Tensor.", StringComparison.Ordinal) ? "this"
        : typeof(TorchSharp.torch).GetMethods().Concat(typeof(TorchSharp.torch.nn.functional).GetMethods())
            .Where(m => m.IsStatic && m.Name == name[(name.LastIndexOf('.') + 1)..] && m.DeclaringType == (name.Contains("functional") ? typeof(TorchSharp.torch.nn.functional) : typeof(TorchSharp.torch)))
            .OrderBy(m => m.GetParameters().Length).First().GetParameters()[0].Name!;

    private static bool CanBroadcast(long[] a, long[] b) =>
        a.Reverse().Zip(b.Reverse()).All(p => p.First == p.Second || p.First == 1 || p.Second == 1);
}
