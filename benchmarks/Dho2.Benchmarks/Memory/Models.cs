using Dho2;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;
using static TorchSharp.torch.nn.functional;

namespace Dho2.Benchmarks.Memory;

/// <summary>Eight linear layers with relu, on 1 stage.</summary>
[Pipeline(MicroBatches = 4)]
[Input(784, Batch = 64)]
[Target(DType = DType.Int64)]
[Curvature(Rank = 4)]
public partial class Mlp1 : Module<Tensor, Tensor>
{
    [Stage(0)] private readonly Linear fc0 = Linear(784, 512);
    [Stage(0)] private readonly Linear fc1 = Linear(512, 512);
    [Stage(0)] private readonly Linear fc2 = Linear(512, 512);
    [Stage(0)] private readonly Linear fc3 = Linear(512, 512);
    [Stage(0)] private readonly Linear fc4 = Linear(512, 512);
    [Stage(0)] private readonly Linear fc5 = Linear(512, 512);
    [Stage(0)] private readonly Linear fc6 = Linear(512, 512);
    [Stage(0)] private readonly Linear fc7 = Linear(512, 10);

    public override Tensor forward(Tensor x)
    {
        x = relu(fc0.forward(x));
        x = relu(fc1.forward(x));
        x = relu(fc2.forward(x));
        x = relu(fc3.forward(x));
        x = relu(fc4.forward(x));
        x = relu(fc5.forward(x));
        x = relu(fc6.forward(x));
        return fc7.forward(x);
    }

    private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
}

/// <summary>Eight linear layers with tanh, on 2 stages.</summary>
[Pipeline(MicroBatches = 4)]
[Input(784, Batch = 64)]
[Target(DType = DType.Int64)]
[Curvature(Rank = 4)]
public partial class Mlp2 : Module<Tensor, Tensor>
{
    [Stage(0)] private readonly Linear fc0 = Linear(784, 512);
    [Stage(0)] private readonly Linear fc1 = Linear(512, 512);
    [Stage(0)] private readonly Linear fc2 = Linear(512, 512);
    [Stage(0)] private readonly Linear fc3 = Linear(512, 512);
    [Stage(1)] private readonly Linear fc4 = Linear(512, 512);
    [Stage(1)] private readonly Linear fc5 = Linear(512, 512);
    [Stage(1)] private readonly Linear fc6 = Linear(512, 512);
    [Stage(1)] private readonly Linear fc7 = Linear(512, 10);

    public override Tensor forward(Tensor x)
    {
        x = tanh(fc0.forward(x));
        x = tanh(fc1.forward(x));
        x = tanh(fc2.forward(x));
        x = tanh(fc3.forward(x));
        x = tanh(fc4.forward(x));
        x = tanh(fc5.forward(x));
        x = tanh(fc6.forward(x));
        return fc7.forward(x);
    }

    private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
}

/// <summary>Eight linear layers with relu, on 4 stages.</summary>
[Pipeline(MicroBatches = 4)]
[Input(784, Batch = 64)]
[Target(DType = DType.Int64)]
[Curvature(Rank = 4)]
public partial class Mlp4 : Module<Tensor, Tensor>
{
    [Stage(0)] private readonly Linear fc0 = Linear(784, 512);
    [Stage(0)] private readonly Linear fc1 = Linear(512, 512);
    [Stage(1)] private readonly Linear fc2 = Linear(512, 512);
    [Stage(1)] private readonly Linear fc3 = Linear(512, 512);
    [Stage(2)] private readonly Linear fc4 = Linear(512, 512);
    [Stage(2)] private readonly Linear fc5 = Linear(512, 512);
    [Stage(3)] private readonly Linear fc6 = Linear(512, 512);
    [Stage(3)] private readonly Linear fc7 = Linear(512, 10);

    public override Tensor forward(Tensor x)
    {
        x = relu(fc0.forward(x));
        x = relu(fc1.forward(x));
        x = relu(fc2.forward(x));
        x = relu(fc3.forward(x));
        x = relu(fc4.forward(x));
        x = relu(fc5.forward(x));
        x = relu(fc6.forward(x));
        return fc7.forward(x);
    }

    private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
}

/// <summary>Three convolutions with batch norm and pooling, on 1 stage.</summary>
[Pipeline(MicroBatches = 4)]
[Input(3, 32, 32, Batch = 64)]
[Target(DType = DType.Int64)]
[Curvature(Rank = 4)]
public partial class Cnn1 : Module<Tensor, Tensor>
{
    [Stage(0)] private readonly Conv2d conv0 = Conv2d(3, 32, 3, padding: 1);
    [Stage(0)] private readonly BatchNorm2d norm0 = BatchNorm2d(32);
    [Stage(0)] private readonly Conv2d conv1 = Conv2d(32, 64, 3, padding: 1);
    [Stage(0)] private readonly BatchNorm2d norm1 = BatchNorm2d(64);
    [Stage(0)] private readonly Conv2d conv2 = Conv2d(64, 128, 3, padding: 1);
    [Stage(0)] private readonly BatchNorm2d norm2 = BatchNorm2d(128);
    [Stage(0)] private readonly Linear fc = Linear(128 * 4 * 4, 256);
    [Stage(0)] private readonly Linear head = Linear(256, 10);

    public override Tensor forward(Tensor x)
    {
        x = max_pool2d(relu(norm0.forward(conv0.forward(x))), 2);
        x = max_pool2d(relu(norm1.forward(conv1.forward(x))), 2);
        x = max_pool2d(relu(norm2.forward(conv2.forward(x))), 2);
        return head.forward(relu(fc.forward(x.flatten(1))));
    }

    private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
}

/// <summary>Three convolutions with batch norm and pooling, on 2 stages.</summary>
[Pipeline(MicroBatches = 4)]
[Input(3, 32, 32, Batch = 64)]
[Target(DType = DType.Int64)]
[Curvature(Rank = 4)]
public partial class Cnn2 : Module<Tensor, Tensor>
{
    [Stage(0)] private readonly Conv2d conv0 = Conv2d(3, 32, 3, padding: 1);
    [Stage(0)] private readonly BatchNorm2d norm0 = BatchNorm2d(32);
    [Stage(0)] private readonly Conv2d conv1 = Conv2d(32, 64, 3, padding: 1);
    [Stage(0)] private readonly BatchNorm2d norm1 = BatchNorm2d(64);
    [Stage(1)] private readonly Conv2d conv2 = Conv2d(64, 128, 3, padding: 1);
    [Stage(1)] private readonly BatchNorm2d norm2 = BatchNorm2d(128);
    [Stage(1)] private readonly Linear fc = Linear(128 * 4 * 4, 256);
    [Stage(1)] private readonly Linear head = Linear(256, 10);

    public override Tensor forward(Tensor x)
    {
        x = max_pool2d(relu(norm0.forward(conv0.forward(x))), 2);
        x = max_pool2d(relu(norm1.forward(conv1.forward(x))), 2);
        x = max_pool2d(relu(norm2.forward(conv2.forward(x))), 2);
        return head.forward(relu(fc.forward(x.flatten(1))));
    }

    private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
}

/// <summary>A small VGG without normalisation, on 2 stages.</summary>
[Pipeline(MicroBatches = 4)]
[Input(3, 32, 32, Batch = 64)]
[Target(DType = DType.Int64)]
[Curvature(Rank = 4)]
public partial class Vgg2 : Module<Tensor, Tensor>
{
    [Stage(0)] private readonly Conv2d conv0 = Conv2d(3, 32, 3, padding: 1);
    [Stage(0)] private readonly Conv2d conv1 = Conv2d(32, 32, 3, padding: 1);
    [Stage(0)] private readonly Conv2d conv2 = Conv2d(32, 64, 3, padding: 1);
    [Stage(0)] private readonly Conv2d conv3 = Conv2d(64, 64, 3, padding: 1);
    [Stage(1)] private readonly Conv2d conv4 = Conv2d(64, 128, 3, padding: 1);
    [Stage(1)] private readonly Conv2d conv5 = Conv2d(128, 128, 3, padding: 1);
    [Stage(1)] private readonly Linear fc = Linear(128 * 4 * 4, 512);
    [Stage(1)] private readonly Linear head = Linear(512, 10);

    public override Tensor forward(Tensor x)
    {
        x = relu(conv0.forward(x));
        x = relu(conv1.forward(x));
        x = max_pool2d(x, 2);
        x = relu(conv2.forward(x));
        x = relu(conv3.forward(x));
        x = max_pool2d(x, 2);
        x = relu(conv4.forward(x));
        x = relu(conv5.forward(x));
        x = max_pool2d(x, 2);
        return head.forward(relu(fc.forward(x.flatten(1))));
    }

    private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
}

/// <summary>A small VGG without normalisation, on 4 stages.</summary>
[Pipeline(MicroBatches = 4)]
[Input(3, 32, 32, Batch = 64)]
[Target(DType = DType.Int64)]
[Curvature(Rank = 4)]
public partial class Vgg4 : Module<Tensor, Tensor>
{
    [Stage(0)] private readonly Conv2d conv0 = Conv2d(3, 32, 3, padding: 1);
    [Stage(0)] private readonly Conv2d conv1 = Conv2d(32, 32, 3, padding: 1);
    [Stage(1)] private readonly Conv2d conv2 = Conv2d(32, 64, 3, padding: 1);
    [Stage(1)] private readonly Conv2d conv3 = Conv2d(64, 64, 3, padding: 1);
    [Stage(2)] private readonly Conv2d conv4 = Conv2d(64, 128, 3, padding: 1);
    [Stage(2)] private readonly Conv2d conv5 = Conv2d(128, 128, 3, padding: 1);
    [Stage(3)] private readonly Linear fc = Linear(128 * 4 * 4, 512);
    [Stage(3)] private readonly Linear head = Linear(512, 10);

    public override Tensor forward(Tensor x)
    {
        x = relu(conv0.forward(x));
        x = relu(conv1.forward(x));
        x = max_pool2d(x, 2);
        x = relu(conv2.forward(x));
        x = relu(conv3.forward(x));
        x = max_pool2d(x, 2);
        x = relu(conv4.forward(x));
        x = relu(conv5.forward(x));
        x = max_pool2d(x, 2);
        return head.forward(relu(fc.forward(x.flatten(1))));
    }

    private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
}

/// <summary>Four residual blocks, on 2 stages.</summary>
[Pipeline(MicroBatches = 4)]
[Input(3, 16, 16, Batch = 64)]
[Target(DType = DType.Int64)]
[Curvature(Rank = 4)]
public partial class ResNet2 : Module<Tensor, Tensor>
{
    [Stage(0)] private readonly Conv2d stem = Conv2d(3, 32, 3, padding: 1);
    [Stage(0)] private readonly BatchNorm2d stemNorm = BatchNorm2d(32);
    [Stage(0)] private readonly Conv2d conv0a = Conv2d(32, 32, 3, padding: 1);
    [Stage(0)] private readonly BatchNorm2d norm0a = BatchNorm2d(32);
    [Stage(0)] private readonly Conv2d conv0b = Conv2d(32, 32, 3, padding: 1);
    [Stage(0)] private readonly BatchNorm2d norm0b = BatchNorm2d(32);
    [Stage(0)] private readonly Conv2d conv1a = Conv2d(32, 32, 3, padding: 1);
    [Stage(0)] private readonly BatchNorm2d norm1a = BatchNorm2d(32);
    [Stage(0)] private readonly Conv2d conv1b = Conv2d(32, 32, 3, padding: 1);
    [Stage(0)] private readonly BatchNorm2d norm1b = BatchNorm2d(32);
    [Stage(1)] private readonly Conv2d conv2a = Conv2d(32, 32, 3, padding: 1);
    [Stage(1)] private readonly BatchNorm2d norm2a = BatchNorm2d(32);
    [Stage(1)] private readonly Conv2d conv2b = Conv2d(32, 32, 3, padding: 1);
    [Stage(1)] private readonly BatchNorm2d norm2b = BatchNorm2d(32);
    [Stage(1)] private readonly Conv2d conv3a = Conv2d(32, 32, 3, padding: 1);
    [Stage(1)] private readonly BatchNorm2d norm3a = BatchNorm2d(32);
    [Stage(1)] private readonly Conv2d conv3b = Conv2d(32, 32, 3, padding: 1);
    [Stage(1)] private readonly BatchNorm2d norm3b = BatchNorm2d(32);
    [Stage(1)] private readonly Linear head = Linear(32, 10);

    public override Tensor forward(Tensor x)
    {
        x = relu(stemNorm.forward(stem.forward(x)));
        x = relu(norm0b.forward(conv0b.forward(relu(norm0a.forward(conv0a.forward(x))))) + x);
        x = relu(norm1b.forward(conv1b.forward(relu(norm1a.forward(conv1a.forward(x))))) + x);
        x = relu(norm2b.forward(conv2b.forward(relu(norm2a.forward(conv2a.forward(x))))) + x);
        x = relu(norm3b.forward(conv3b.forward(relu(norm3a.forward(conv3a.forward(x))))) + x);
        return head.forward(x.mean(new long[] { 2, 3 }));
    }

    private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
}

/// <summary>Four residual blocks, on 4 stages.</summary>
[Pipeline(MicroBatches = 4)]
[Input(3, 16, 16, Batch = 64)]
[Target(DType = DType.Int64)]
[Curvature(Rank = 4)]
public partial class ResNet4 : Module<Tensor, Tensor>
{
    [Stage(0)] private readonly Conv2d stem = Conv2d(3, 32, 3, padding: 1);
    [Stage(0)] private readonly BatchNorm2d stemNorm = BatchNorm2d(32);
    [Stage(0)] private readonly Conv2d conv0a = Conv2d(32, 32, 3, padding: 1);
    [Stage(0)] private readonly BatchNorm2d norm0a = BatchNorm2d(32);
    [Stage(0)] private readonly Conv2d conv0b = Conv2d(32, 32, 3, padding: 1);
    [Stage(0)] private readonly BatchNorm2d norm0b = BatchNorm2d(32);
    [Stage(1)] private readonly Conv2d conv1a = Conv2d(32, 32, 3, padding: 1);
    [Stage(1)] private readonly BatchNorm2d norm1a = BatchNorm2d(32);
    [Stage(1)] private readonly Conv2d conv1b = Conv2d(32, 32, 3, padding: 1);
    [Stage(1)] private readonly BatchNorm2d norm1b = BatchNorm2d(32);
    [Stage(2)] private readonly Conv2d conv2a = Conv2d(32, 32, 3, padding: 1);
    [Stage(2)] private readonly BatchNorm2d norm2a = BatchNorm2d(32);
    [Stage(2)] private readonly Conv2d conv2b = Conv2d(32, 32, 3, padding: 1);
    [Stage(2)] private readonly BatchNorm2d norm2b = BatchNorm2d(32);
    [Stage(3)] private readonly Conv2d conv3a = Conv2d(32, 32, 3, padding: 1);
    [Stage(3)] private readonly BatchNorm2d norm3a = BatchNorm2d(32);
    [Stage(3)] private readonly Conv2d conv3b = Conv2d(32, 32, 3, padding: 1);
    [Stage(3)] private readonly BatchNorm2d norm3b = BatchNorm2d(32);
    [Stage(3)] private readonly Linear head = Linear(32, 10);

    public override Tensor forward(Tensor x)
    {
        x = relu(stemNorm.forward(stem.forward(x)));
        x = relu(norm0b.forward(conv0b.forward(relu(norm0a.forward(conv0a.forward(x))))) + x);
        x = relu(norm1b.forward(conv1b.forward(relu(norm1a.forward(conv1a.forward(x))))) + x);
        x = relu(norm2b.forward(conv2b.forward(relu(norm2a.forward(conv2a.forward(x))))) + x);
        x = relu(norm3b.forward(conv3b.forward(relu(norm3a.forward(conv3a.forward(x))))) + x);
        return head.forward(x.mean(new long[] { 2, 3 }));
    }

    private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
}

/// <summary>Four transformer blocks with one head each over sequences of 64, written out, on 2 stages.</summary>
[Pipeline(MicroBatches = 4)]
[Input(64, 64, Batch = 64)]
[Target(DType = DType.Int64)]
[Curvature(Rank = 4)]
public partial class Transformer2 : Module<Tensor, Tensor>
{
    [Stage(0)] private readonly Linear embed = Linear(64, 128);
    [Stage(0)] private readonly LayerNorm norm0a = LayerNorm(128);
    [Stage(0)] private readonly Linear q0 = Linear(128, 128);
    [Stage(0)] private readonly Linear k0 = Linear(128, 128);
    [Stage(0)] private readonly Linear v0 = Linear(128, 128);
    [Stage(0)] private readonly Linear o0 = Linear(128, 128);
    [Stage(0)] private readonly LayerNorm norm0b = LayerNorm(128);
    [Stage(0)] private readonly Linear up0 = Linear(128, 512);
    [Stage(0)] private readonly Linear down0 = Linear(512, 128);
    [Stage(0)] private readonly LayerNorm norm1a = LayerNorm(128);
    [Stage(0)] private readonly Linear q1 = Linear(128, 128);
    [Stage(0)] private readonly Linear k1 = Linear(128, 128);
    [Stage(0)] private readonly Linear v1 = Linear(128, 128);
    [Stage(0)] private readonly Linear o1 = Linear(128, 128);
    [Stage(0)] private readonly LayerNorm norm1b = LayerNorm(128);
    [Stage(0)] private readonly Linear up1 = Linear(128, 512);
    [Stage(0)] private readonly Linear down1 = Linear(512, 128);
    [Stage(1)] private readonly LayerNorm norm2a = LayerNorm(128);
    [Stage(1)] private readonly Linear q2 = Linear(128, 128);
    [Stage(1)] private readonly Linear k2 = Linear(128, 128);
    [Stage(1)] private readonly Linear v2 = Linear(128, 128);
    [Stage(1)] private readonly Linear o2 = Linear(128, 128);
    [Stage(1)] private readonly LayerNorm norm2b = LayerNorm(128);
    [Stage(1)] private readonly Linear up2 = Linear(128, 512);
    [Stage(1)] private readonly Linear down2 = Linear(512, 128);
    [Stage(1)] private readonly LayerNorm norm3a = LayerNorm(128);
    [Stage(1)] private readonly Linear q3 = Linear(128, 128);
    [Stage(1)] private readonly Linear k3 = Linear(128, 128);
    [Stage(1)] private readonly Linear v3 = Linear(128, 128);
    [Stage(1)] private readonly Linear o3 = Linear(128, 128);
    [Stage(1)] private readonly LayerNorm norm3b = LayerNorm(128);
    [Stage(1)] private readonly Linear up3 = Linear(128, 512);
    [Stage(1)] private readonly Linear down3 = Linear(512, 128);
    [Stage(1)] private readonly Linear head = Linear(128, 10);

    public override Tensor forward(Tensor x)
    {
        x = embed.forward(x);
        var h0 = norm0a.forward(x);
        var scores0 = softmax(q0.forward(h0).matmul(k0.forward(h0).transpose(1, 2)) * 0.0884, -1);
        x = x + o0.forward(scores0.matmul(v0.forward(h0)));
        x = x + down0.forward(gelu(up0.forward(norm0b.forward(x))));
        var h1 = norm1a.forward(x);
        var scores1 = softmax(q1.forward(h1).matmul(k1.forward(h1).transpose(1, 2)) * 0.0884, -1);
        x = x + o1.forward(scores1.matmul(v1.forward(h1)));
        x = x + down1.forward(gelu(up1.forward(norm1b.forward(x))));
        var h2 = norm2a.forward(x);
        var scores2 = softmax(q2.forward(h2).matmul(k2.forward(h2).transpose(1, 2)) * 0.0884, -1);
        x = x + o2.forward(scores2.matmul(v2.forward(h2)));
        x = x + down2.forward(gelu(up2.forward(norm2b.forward(x))));
        var h3 = norm3a.forward(x);
        var scores3 = softmax(q3.forward(h3).matmul(k3.forward(h3).transpose(1, 2)) * 0.0884, -1);
        x = x + o3.forward(scores3.matmul(v3.forward(h3)));
        x = x + down3.forward(gelu(up3.forward(norm3b.forward(x))));
        return head.forward(x.mean(new long[] { 1 }));
    }

    private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
}

/// <summary>Four transformer blocks with one head each over sequences of 64, written out, on 4 stages.</summary>
[Pipeline(MicroBatches = 4)]
[Input(64, 64, Batch = 64)]
[Target(DType = DType.Int64)]
[Curvature(Rank = 4)]
public partial class Transformer4 : Module<Tensor, Tensor>
{
    [Stage(0)] private readonly Linear embed = Linear(64, 128);
    [Stage(0)] private readonly LayerNorm norm0a = LayerNorm(128);
    [Stage(0)] private readonly Linear q0 = Linear(128, 128);
    [Stage(0)] private readonly Linear k0 = Linear(128, 128);
    [Stage(0)] private readonly Linear v0 = Linear(128, 128);
    [Stage(0)] private readonly Linear o0 = Linear(128, 128);
    [Stage(0)] private readonly LayerNorm norm0b = LayerNorm(128);
    [Stage(0)] private readonly Linear up0 = Linear(128, 512);
    [Stage(0)] private readonly Linear down0 = Linear(512, 128);
    [Stage(1)] private readonly LayerNorm norm1a = LayerNorm(128);
    [Stage(1)] private readonly Linear q1 = Linear(128, 128);
    [Stage(1)] private readonly Linear k1 = Linear(128, 128);
    [Stage(1)] private readonly Linear v1 = Linear(128, 128);
    [Stage(1)] private readonly Linear o1 = Linear(128, 128);
    [Stage(1)] private readonly LayerNorm norm1b = LayerNorm(128);
    [Stage(1)] private readonly Linear up1 = Linear(128, 512);
    [Stage(1)] private readonly Linear down1 = Linear(512, 128);
    [Stage(2)] private readonly LayerNorm norm2a = LayerNorm(128);
    [Stage(2)] private readonly Linear q2 = Linear(128, 128);
    [Stage(2)] private readonly Linear k2 = Linear(128, 128);
    [Stage(2)] private readonly Linear v2 = Linear(128, 128);
    [Stage(2)] private readonly Linear o2 = Linear(128, 128);
    [Stage(2)] private readonly LayerNorm norm2b = LayerNorm(128);
    [Stage(2)] private readonly Linear up2 = Linear(128, 512);
    [Stage(2)] private readonly Linear down2 = Linear(512, 128);
    [Stage(3)] private readonly LayerNorm norm3a = LayerNorm(128);
    [Stage(3)] private readonly Linear q3 = Linear(128, 128);
    [Stage(3)] private readonly Linear k3 = Linear(128, 128);
    [Stage(3)] private readonly Linear v3 = Linear(128, 128);
    [Stage(3)] private readonly Linear o3 = Linear(128, 128);
    [Stage(3)] private readonly LayerNorm norm3b = LayerNorm(128);
    [Stage(3)] private readonly Linear up3 = Linear(128, 512);
    [Stage(3)] private readonly Linear down3 = Linear(512, 128);
    [Stage(3)] private readonly Linear head = Linear(128, 10);

    public override Tensor forward(Tensor x)
    {
        x = embed.forward(x);
        var h0 = norm0a.forward(x);
        var scores0 = softmax(q0.forward(h0).matmul(k0.forward(h0).transpose(1, 2)) * 0.0884, -1);
        x = x + o0.forward(scores0.matmul(v0.forward(h0)));
        x = x + down0.forward(gelu(up0.forward(norm0b.forward(x))));
        var h1 = norm1a.forward(x);
        var scores1 = softmax(q1.forward(h1).matmul(k1.forward(h1).transpose(1, 2)) * 0.0884, -1);
        x = x + o1.forward(scores1.matmul(v1.forward(h1)));
        x = x + down1.forward(gelu(up1.forward(norm1b.forward(x))));
        var h2 = norm2a.forward(x);
        var scores2 = softmax(q2.forward(h2).matmul(k2.forward(h2).transpose(1, 2)) * 0.0884, -1);
        x = x + o2.forward(scores2.matmul(v2.forward(h2)));
        x = x + down2.forward(gelu(up2.forward(norm2b.forward(x))));
        var h3 = norm3a.forward(x);
        var scores3 = softmax(q3.forward(h3).matmul(k3.forward(h3).transpose(1, 2)) * 0.0884, -1);
        x = x + o3.forward(scores3.matmul(v3.forward(h3)));
        x = x + down3.forward(gelu(up3.forward(norm3b.forward(x))));
        return head.forward(x.mean(new long[] { 1 }));
    }

    private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
}

/// <summary>An LSTM cell over six steps, written out, on 1 stage.</summary>
[Pipeline(MicroBatches = 4)]
[Input(6, 64, Batch = 64)]
[Target(DType = DType.Int64)]
[Curvature(Rank = 4)]
public partial class Lstm1 : Module<Tensor, Tensor>
{
    [Stage(0)] private readonly Linear input = Linear(64, 4 * 256);
    [Stage(0)] private readonly Linear hidden = Linear(256, 4 * 256);
    [Stage(0)] private readonly Linear fc = Linear(256, 512);
    [Stage(0)] private readonly Linear head = Linear(512, 10);

    public override Tensor forward(Tensor x)
    {
        var gates = input.forward(x.select(1, 0));
        var c = torch.sigmoid(gates.narrow(1, 0, 256)) * tanh(gates.narrow(1, 512, 256));
        var h = torch.sigmoid(gates.narrow(1, 768, 256)) * tanh(c);
        gates = input.forward(x.select(1, 1)) + hidden.forward(h);
        c = torch.sigmoid(gates.narrow(1, 256, 256)) * c + torch.sigmoid(gates.narrow(1, 0, 256)) * tanh(gates.narrow(1, 512, 256));
        h = torch.sigmoid(gates.narrow(1, 768, 256)) * tanh(c);
        gates = input.forward(x.select(1, 2)) + hidden.forward(h);
        c = torch.sigmoid(gates.narrow(1, 256, 256)) * c + torch.sigmoid(gates.narrow(1, 0, 256)) * tanh(gates.narrow(1, 512, 256));
        h = torch.sigmoid(gates.narrow(1, 768, 256)) * tanh(c);
        gates = input.forward(x.select(1, 3)) + hidden.forward(h);
        c = torch.sigmoid(gates.narrow(1, 256, 256)) * c + torch.sigmoid(gates.narrow(1, 0, 256)) * tanh(gates.narrow(1, 512, 256));
        h = torch.sigmoid(gates.narrow(1, 768, 256)) * tanh(c);
        gates = input.forward(x.select(1, 4)) + hidden.forward(h);
        c = torch.sigmoid(gates.narrow(1, 256, 256)) * c + torch.sigmoid(gates.narrow(1, 0, 256)) * tanh(gates.narrow(1, 512, 256));
        h = torch.sigmoid(gates.narrow(1, 768, 256)) * tanh(c);
        gates = input.forward(x.select(1, 5)) + hidden.forward(h);
        c = torch.sigmoid(gates.narrow(1, 256, 256)) * c + torch.sigmoid(gates.narrow(1, 0, 256)) * tanh(gates.narrow(1, 512, 256));
        h = torch.sigmoid(gates.narrow(1, 768, 256)) * tanh(c);
        return head.forward(relu(fc.forward(h)));
    }

    private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
}

/// <summary>An LSTM cell over six steps, written out, on 2 stages.</summary>
[Pipeline(MicroBatches = 4)]
[Input(6, 64, Batch = 64)]
[Target(DType = DType.Int64)]
[Curvature(Rank = 4)]
public partial class Lstm2 : Module<Tensor, Tensor>
{
    [Stage(0)] private readonly Linear input = Linear(64, 4 * 256);
    [Stage(0)] private readonly Linear hidden = Linear(256, 4 * 256);
    [Stage(1)] private readonly Linear fc = Linear(256, 512);
    [Stage(1)] private readonly Linear head = Linear(512, 10);

    public override Tensor forward(Tensor x)
    {
        var gates = input.forward(x.select(1, 0));
        var c = torch.sigmoid(gates.narrow(1, 0, 256)) * tanh(gates.narrow(1, 512, 256));
        var h = torch.sigmoid(gates.narrow(1, 768, 256)) * tanh(c);
        gates = input.forward(x.select(1, 1)) + hidden.forward(h);
        c = torch.sigmoid(gates.narrow(1, 256, 256)) * c + torch.sigmoid(gates.narrow(1, 0, 256)) * tanh(gates.narrow(1, 512, 256));
        h = torch.sigmoid(gates.narrow(1, 768, 256)) * tanh(c);
        gates = input.forward(x.select(1, 2)) + hidden.forward(h);
        c = torch.sigmoid(gates.narrow(1, 256, 256)) * c + torch.sigmoid(gates.narrow(1, 0, 256)) * tanh(gates.narrow(1, 512, 256));
        h = torch.sigmoid(gates.narrow(1, 768, 256)) * tanh(c);
        gates = input.forward(x.select(1, 3)) + hidden.forward(h);
        c = torch.sigmoid(gates.narrow(1, 256, 256)) * c + torch.sigmoid(gates.narrow(1, 0, 256)) * tanh(gates.narrow(1, 512, 256));
        h = torch.sigmoid(gates.narrow(1, 768, 256)) * tanh(c);
        gates = input.forward(x.select(1, 4)) + hidden.forward(h);
        c = torch.sigmoid(gates.narrow(1, 256, 256)) * c + torch.sigmoid(gates.narrow(1, 0, 256)) * tanh(gates.narrow(1, 512, 256));
        h = torch.sigmoid(gates.narrow(1, 768, 256)) * tanh(c);
        gates = input.forward(x.select(1, 5)) + hidden.forward(h);
        c = torch.sigmoid(gates.narrow(1, 256, 256)) * c + torch.sigmoid(gates.narrow(1, 0, 256)) * tanh(gates.narrow(1, 512, 256));
        h = torch.sigmoid(gates.narrow(1, 768, 256)) * tanh(c);
        return head.forward(relu(fc.forward(h)));
    }

    private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
}
