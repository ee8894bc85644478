using Dho2;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;
using static TorchSharp.torch.nn.functional;

namespace Dho2.Benchmarks.Checkpoints;

/// <summary>4.2 million parameters on two stages, with Adam and eight eigenvectors: eleven numbers for each of them.</summary>
[Pipeline(MicroBatches = 2, Base = BaseKind.Adam)]
[Input(1024, Batch = 32)]
[Target(DType = DType.Int64)]
[Curvature(Rank = 8, Every = 3, Warmup = 1, Alpha = 0.01)]
public partial class CheckpointNet : Module<Tensor, Tensor>
{
    [Stage(0)] private readonly Linear first = Linear(1024, 1024);
    [Stage(0)] private readonly Linear second = Linear(1024, 1024);
    [Stage(1)] private readonly Linear third = Linear(1024, 1024);
    [Stage(1)] private readonly Linear fourth = Linear(1024, 1024);

    public override Tensor forward(Tensor x) => fourth.forward(relu(third.forward(relu(second.forward(relu(first.forward(x)))))));

    private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
}
