using Dho2;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;
using static TorchSharp.torch.nn.functional;

namespace Dho2.Benchmarks.TimeToLoss;

/// <summary>Multinomial logistic regression on 28 x 28 grey images.</summary>
[Pipeline]
[Input(784, Batch = 128)]
[Target(DType = DType.Int64)]
[Curvature]
public partial class LogisticRegression : Module<Tensor, Tensor>
{
    [Stage(0)] private readonly Linear head = Linear(784, 10);

    public override Tensor forward(Tensor x) => head.forward(x);

    private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
}

/// <summary>
/// A long short-term memory (Hochreiter and Schmidhuber 1997, with forget gates) over characters, of 0.05 M parameters. Its
/// cell is written out: products with the Hessian and K-FAC alike need what is inside.
/// </summary>
[Pipeline]
[Input(CharLstm.Context, DType = DType.Int64, Batch = 32)]
[Target(CharLstm.Context, DType = DType.Int64)]
[Curvature]
public partial class CharLstm : Module<Tensor, Tensor>
{
    /// <summary>Characters of a sample.</summary>
    public const int Context = 24;

    /// <summary>Different characters.</summary>
    public const int Alphabet = CharGptSample.Characters.Count;

    /// <summary>Numbers in the state.</summary>
    public const int Width = 64;

    [Stage(0)] private readonly Linear gates = Linear(Alphabet + Width, 4 * Width);
    [Stage(0)] private readonly Linear head = Linear(Width, Alphabet);

    public override Tensor forward(Tensor ids)
    {
        Tensor x = one_hot(ids, Alphabet).to_type(ScalarType.Float32);
        Tensor hidden = zeros(ids.shape[0], Width);
        Tensor memory = zeros(ids.shape[0], Width);
        Tensor[] states = new Tensor[Context];
        for (int t = 0; t < Context; t++)
        {
            Tensor[] parts = gates.forward(cat([x.select(1, t), hidden], 1)).chunk(4, 1);
            memory = (parts[0].sigmoid() * memory) + (parts[1].sigmoid() * tanh(parts[2]));
            hidden = parts[3].sigmoid() * tanh(memory);
            states[t] = hidden;
        }

        return head.forward(stack(states, 1));
    }

    private static Tensor Loss(Tensor scores, Tensor next) => cross_entropy(scores.flatten(0, 1), next.flatten());
}
