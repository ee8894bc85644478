using System;
using System.Collections.Generic;
using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.nn.functional;

namespace Dho2.Benchmarks.TimeToLoss;

/// <summary>
/// What K-FAC must know of a model besides its parameters: how it runs layer by layer, and the distribution over targets whose
/// negative logarithm the loss is.
/// </summary>
/// <param name="Forward">The same as the stage's own forward (a test compares both).</param>
/// <param name="Draw">Targets drawn from the distribution that an output stands for.</param>
/// <param name="Terms">The loss of a sample is the mean, not the sum, over so many independent targets.</param>
internal sealed record KroneckerModel(Func<ActivationRecorder, Tensor, Tensor> Forward, Func<Tensor, Generator, Tensor> Draw, int Terms)
{
    /// <summary>The model of a task.</summary>
    public static KroneckerModel Of(string task) => task switch
    {
        "mnist-logistic" => new((layers, x) => layers.Linear("head", x), Class, 1),
        "mnist-autoencoder" => new(Autoencoder, (logits, random) => logits.sigmoid().bernoulli(random), 784),
        "cifar-cnn" => new(Cnn, Class, 1),
        "char-lstm" => new(Lstm, Class, CharLstm.Context),
        _ => throw new ArgumentException($"There is no layer by layer forward for the task '{task}'.", nameof(task)),
    };

    private static Tensor Class(Tensor logits, Generator random)
    {
        Tensor probabilities = softmax(logits, -1).flatten(0, -2);
        return probabilities.multinomial(1, replacement: true, generator: random).view(logits.shape[..^1]);
    }

    private static Tensor Autoencoder(ActivationRecorder layers, Tensor x)
    {
        x = tanh(layers.Linear("encode1", x));
        x = tanh(layers.Linear("encode2", x));
        x = tanh(layers.Linear("decode1", x));
        return layers.Linear("decode2", x);
    }

    private static Tensor Cnn(ActivationRecorder layers, Tensor x)
    {
        x = relu(layers.Convolution("conv1", x));
        x = relu(layers.Convolution("conv2", x));
        x = relu(layers.Convolution("conv3", x));
        x = relu(layers.Linear("fc", x.flatten(1)));
        return layers.Linear("head", x);
    }

    private static Tensor Lstm(ActivationRecorder layers, Tensor ids)
    {
        Tensor x = one_hot(ids, CharLstm.Alphabet).to_type(ScalarType.Float32);
        Tensor hidden = zeros(ids.shape[0], CharLstm.Width);
        Tensor memory = zeros(ids.shape[0], CharLstm.Width);
        List<Tensor> states = [];
        for (int t = 0; t < ids.shape[1]; t++)
        {
            Tensor[] parts = layers.Linear("gates", cat([x.select(1, t), hidden], 1)).chunk(4, 1);
            memory = (parts[0].sigmoid() * memory) + (parts[1].sigmoid() * tanh(parts[2]));
            hidden = parts[3].sigmoid() * tanh(memory);
            states.Add(hidden);
        }

        return layers.Linear("head", stack(states, 1));
    }
}
