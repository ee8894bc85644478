using System;
using System.Linq;
using Dho2.Benchmarks.Experiments;
using Dho2.Benchmarks.TimeToLoss;
using Dho2.Pipelines;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Benchmarks.Tests.TimeToLoss;

public sealed class LayerwiseForwardTests : IDisposable
{
    private const int Samples = 4;
    private readonly DisposeScope scope = NewDisposeScope();
    private readonly Generator random = new(9);

    [Theory]
    [InlineData("mnist-logistic")]
    [InlineData("mnist-autoencoder")]
    [InlineData("cifar-cnn")]
    [InlineData("char-lstm")]
    public void It_is_the_generated_stages_own_forward_with_the_same_gradients(string task)
    {
        (PipelineDefinition model, Tensor input) = task switch
        {
            "mnist-logistic" => (LogisticRegression.Pipeline, Normal(Samples, 784)),
            "mnist-autoencoder" => (MnistAutoencoder.Pipeline, Normal(Samples, 784)),
            "cifar-cnn" => (CifarCnn.Pipeline, Normal(Samples, 3, 32, 32)),
            _ => (CharLstm.Pipeline, randint(0, CharLstm.Alphabet, [Samples, CharLstm.Context], ScalarType.Int64, generator: random)),
        };
        using IPipelineStage stage = model.Stages[0](new StageContext(1));
        using FlatParameters parameters = new(stage.Layers, ScalarType.Float32, CPU);
        KroneckerModel layers = KroneckerModel.Of(task);
        ActivationRecorder recorder = new(stage.Layers);

        Tensor whole = stage.Forward([input])[0];
        Tensor byLayers = layers.Forward(recorder, input);
        Tensor targets = layers.Draw(whole.detach(), random);
        Assert.True(allclose(whole, byLayers, 0, 0));
        Assert.Equal(stage.Layers.Select(layer => layer.Name).Order(), recorder.Records.Select(r => r.Layer).Distinct().Order());

        model.Loss([whole], [targets]).backward();
        Tensor expected = parameters.Gradients.clone();
        parameters.Gradients.zero_();

        // As K-FAC does: the outputs' gradients first, which must leave the graph and the parameters' own alone.
        var outputs = autograd.grad([model.Loss([byLayers], [targets])], [.. recorder.Records.Select(r => r.Output)], null, retain_graph: true);
        Assert.Equal(0, parameters.Gradients.abs().max().item<float>());
        model.Loss([byLayers], [targets]).backward();

        // The same operations in the same order.
        Assert.True(allclose(expected, parameters.Gradients, 0, 0));
        Assert.All(recorder.Records.Zip(outputs), pair => Assert.Equal(pair.First.Output.shape, pair.Second.shape));
    }

    public void Dispose()
    {
        random.Dispose();
        scope.Dispose();
    }

    private Tensor Normal(params long[] shape) => randn(shape, ScalarType.Float32, generator: random);
}
