using System.Collections.Generic;
using System.Linq;
using Dho2.Pipelines;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Dho2.Benchmarks.TimeToLoss;

/// <summary>
/// Runs a stage's layers one at a time and keeps what each took and gave, which K-FAC is made of. Forward hooks would not see
/// it: TorchSharp runs them for <c>call</c> and not for <c>forward</c>, which is what generated stages use.
/// </summary>
/// <param name="layers">The stage's layers.</param>
internal sealed class ActivationRecorder(IReadOnlyList<StageLayer> layers)
{
    private readonly Dictionary<string, nn.Module> modules = layers.Where(layer => layer.Module is not null).ToDictionary(layer => layer.Name, layer => layer.Module!);
    private readonly List<(string Layer, Tensor Input, Tensor Output)> records = [];

    /// <summary>What was run, in order: the layer's name, its input, and its output before any activation function.</summary>
    public IReadOnlyList<(string Layer, Tensor Input, Tensor Output)> Records => records;

    /// <summary>Runs a linear layer; of a layer that is run several times each is kept.</summary>
    public Tensor Linear(string name, Tensor input) => Record(name, input, ((Linear)modules[name]).forward(input));

    /// <summary>Runs a convolution.</summary>
    public Tensor Convolution(string name, Tensor input) => Record(name, input, ((Conv2d)modules[name]).forward(input));

    private Tensor Record(string name, Tensor input, Tensor output)
    {
        records.Add((name, input.detach(), output));
        return output;
    }
}
