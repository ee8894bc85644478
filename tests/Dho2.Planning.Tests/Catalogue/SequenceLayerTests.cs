using System.Linq;
using CsCheck;
using static Dho2.Planning.Tests.Catalogue.Generators;

namespace Dho2.Planning.Tests.Catalogue;

/// <summary>Recurrent layers, attention and embeddings against TorchSharp.</summary>
public class SequenceLayerTests
{
    private const string Nn = "TorchSharp.torch.nn.";

    [Theory]
    [InlineData("RNN")]
    [InlineData("GRU")]
    [InlineData("LSTM")]
    public void Recurrent(string name) => Agreement.Check(
        from input in Gen.Long[1, 4]
        from hidden in Gen.Long[1, 4]
        from layers in Gen.Long[1, 3]
        from bias in Gen.Bool
        from batchFirst in Gen.Bool
        from both in Gen.Bool
        from sizes in Gen.Long[1, 4].Array[2]
        from wrong in Gen.Frequency((6, Gen.Const(0L)), (1, Gen.Const(1L)))
        select new CallCase(
            Nn + name,
            [("input", new TensorSpec(sizes[0], sizes[1], input + wrong))],
            [("inputSize", input), ("hiddenSize", hidden), ("numLayers", layers), ("bias", bias), ("batchFirst", batchFirst), ("bidirectional", both)]), iterations: 30);

    [Theory]
    [InlineData("RNNCell")]
    [InlineData("GRUCell")]
    [InlineData("LSTMCell")]
    public void Cells(string name) => Agreement.Check(
        from input in Gen.Long[1, 4]
        from hidden in Gen.Long[1, 4]
        from bias in Gen.Bool
        from samples in Gen.Long[1, 4]
        from wrong in Gen.Frequency((6, Gen.Const(0L)), (1, Gen.Const(1L)))
        select new CallCase(
            Nn + name, [("input", new TensorSpec(samples, input + wrong))], [("inputSize", input), ("hiddenSize", hidden), ("bias", bias)]), iterations: 20);

    [Theory]
    [InlineData("RNNCell")]
    [InlineData("GRUCell")]
    public void CellsWithAState(string name) => Agreement.Check(
        from input in Gen.Long[1, 4]
        from hidden in Gen.Long[1, 4]
        from samples in Gen.Long[1, 4]
        select new CallCase(
            Nn + name, [("input", new TensorSpec(samples, input)), ("h0", new TensorSpec(samples, hidden))], [("inputSize", input), ("hiddenSize", hidden)]), iterations: 10);

    [Fact]
    public void ACellWithItsTwoStates() => Agreement.Check(
        from input in Gen.Long[1, 4]
        from hidden in Gen.Long[1, 4]
        from bias in Gen.Bool
        from samples in Gen.Long[1, 4]
        from wrong in Gen.Frequency((6, Gen.Const(0L)), (1, Gen.Const(1L)))
        select new CallCase(
            Nn + "LSTMCell",
            [("input", new TensorSpec(samples, input + wrong)), ("h0_c0", new[] { new TensorSpec(samples, hidden), new TensorSpec(samples, hidden) })],
            [("inputSize", input), ("hiddenSize", hidden), ("bias", bias)]), iterations: 20);

    [Fact]
    public void MultiheadAttention() => Agreement.Check(
        from heads in Gen.Long[1, 3]
        from perHead in Gen.Long[1, 3]
        from bias in Gen.Bool
        from sizes in Gen.Long[1, 4].Array[3]
        from wrong in Gen.Frequency((6, Gen.Const(0L)), (1, Gen.Const(1L)))
        let width = heads * perHead
        select new CallCase(
            Nn + "MultiheadAttention",
            [
                ("query", new TensorSpec(sizes[0], sizes[1], width + wrong)), ("key", new TensorSpec(sizes[2], sizes[1], width)),
                ("value", new TensorSpec(sizes[2], sizes[1], width)), ("key_padding_mask", null), ("need_weights", true), ("attn_mask", null),
            ],
            [("embedded_dim", width), ("num_heads", heads), ("bias", bias)]), iterations: 30);

    [Fact]
    public void TransformerEncoderLayer() => Agreement.Check(
        from heads in Gen.Long[1, 3]
        from perHead in Gen.Long[1, 3]
        from inner in Gen.Long[1, 6]
        from sizes in Gen.Long[1, 4].Array[2]
        from wrong in Gen.Frequency((6, Gen.Const(0L)), (1, Gen.Const(1L)))
        select new CallCase(
            Nn + "TransformerEncoderLayer",
            [("src", new TensorSpec(sizes[0], sizes[1], (heads * perHead) + wrong))],
            [("d_model", heads * perHead), ("nhead", heads), ("dim_feedforward", inner)]), iterations: 20);

    [Fact]
    public void TransformerDecoderLayer() => Agreement.Check(
        from heads in Gen.Long[1, 3]
        from perHead in Gen.Long[1, 3]
        from inner in Gen.Long[1, 6]
        from sizes in Gen.Long[1, 4].Array[3]
        let width = heads * perHead
        select new CallCase(
            Nn + "TransformerDecoderLayer",
            [
                ("tgt", new TensorSpec(sizes[0], sizes[1], width)), ("memory", new TensorSpec(sizes[2], sizes[1], width)),
                ("tgt_mask", null), ("memory_mask", null), ("tgt_key_padding_mask", null), ("memory_key_padding_mask", null),
            ],
            [("d_model", width), ("nhead", heads), ("dim_feedforward", inner)]), iterations: 20);

    [Fact]
    public void ScaledDotProductAttention() => Agreement.Check(
        from leading in Gen.Long[1, 3].Array[0, 2]
        from sizes in Gen.Long[1, 4].Array[4]
        from wrong in Gen.Int[0, 9]
        select new CallCase(
            Nn + "functional.scaled_dot_product_attention",
            [
                ("query", new TensorSpec([.. leading, sizes[0], sizes[1]])),
                ("key", new TensorSpec([.. leading, sizes[2], sizes[1] + (wrong == 0 ? 1 : 0)])),
                ("value", new TensorSpec([.. leading, sizes[2] + (wrong == 1 ? 1 : 0), sizes[3]])),
            ]), iterations: 50);

    [Theory]
    [InlineData("Sum")]
    [InlineData("Mean")]
    public void EmbeddingBag(string mode) => Agreement.Check(
        from rows in Gen.Long[1, 5]
        from width in Gen.Long[1, 5]
        from sizes in Gen.Long[1, 4].Array[2]
        select new CallCase(
            Nn + "EmbeddingBag", [("input", new TensorSpec(DType.Int64, sizes))], [("num_embeddings", rows), ("embedding_dims", width), ("mode", mode)]), iterations: 20);
}
