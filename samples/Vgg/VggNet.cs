using Dho2;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;
using static TorchSharp.torch.nn.functional;

namespace VggSample;

/// <summary>
/// A network in the manner of VGG (Simonyan and Zisserman 2015) for 28 x 28 grey images, written as one module class for each
/// stage: the classes carry the attributes, the pipeline puts them together.
/// </summary>
[Pipeline(MicroBatches = 4)]
[Input(1, 28, 28, Batch = 128)]
[Target]
[Curvature(Rank = 10, Every = 200, Scope = CurvatureScope.Stage)]
public partial class VggNet : Module<Tensor, Tensor>
{
    private readonly Edges edges = new(32);
    private readonly Shapes shapes = new(32, 64);
    private readonly Classifier classifier = new(64 * 7 * 7, 128);

    /// <inheritdoc/>
    public override Tensor forward(Tensor x) => classifier.forward(shapes.forward(edges.forward(x)));

    private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
}

/// <summary>The first stage: two convolutions at full size.</summary>
[Stage(0), CurvatureRank(4), Device(Memory = "2 GiB")]
public sealed class Edges : Module<Tensor, Tensor>
{
    private readonly Conv2d conv1;
    private readonly Conv2d conv2;

    /// <summary>Creates the stage's layers.</summary>
    /// <param name="width">Channels.</param>
    public Edges(int width) : base(nameof(Edges))
    {
        conv1 = Conv2d(1, width, 3, padding: 1);
        conv2 = Conv2d(width, width, 3, padding: 1);
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor x) => max_pool2d(relu(conv2.forward(relu(conv1.forward(x)))), 2);
}

/// <summary>The second stage: two convolutions at half the size.</summary>
[Stage(1), CurvatureRank(4), Device(Memory = "2 GiB")]
public sealed class Shapes : Module<Tensor, Tensor>
{
    private readonly Conv2d conv1;
    private readonly Conv2d conv2;

    /// <summary>Creates the stage's layers.</summary>
    /// <param name="from">Channels of the input.</param>
    /// <param name="width">Channels of the output.</param>
    public Shapes(int from, int width) : base(nameof(Shapes))
    {
        conv1 = Conv2d(from, width, 3, padding: 1);
        conv2 = Conv2d(width, width, 3, padding: 1);
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor x) => max_pool2d(relu(conv2.forward(relu(conv1.forward(x)))), 2);
}

/// <summary>The third stage: the fully connected layers, with most of the parameters and most of the curvature.</summary>
[Stage(2), CurvatureRank(10), Device(Memory = "4 GiB")]
public sealed class Classifier : Module<Tensor, Tensor>
{
    private readonly Linear hidden;
    private readonly Linear head;

    /// <summary>Creates the stage's layers.</summary>
    /// <param name="features">Numbers per image.</param>
    /// <param name="width">Hidden units.</param>
    public Classifier(int features, int width) : base(nameof(Classifier))
    {
        hidden = Linear(features, width);
        head = Linear(width, 10);
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor x) => head.forward(relu(hidden.forward(x.flatten(1))));
}
