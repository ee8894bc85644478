using System.Linq;
using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.nn.functional;

namespace Dho2.Tests.Golden;

/// <summary>Mean cross-entropy of a linear classifier in float64; theta is W, row-major (classes x features), then b.</summary>
internal sealed class SoftmaxRegression(double[][] x, long[] y)
{
    private readonly int features = x[0].Length;
    private readonly int classes = (int)y.Max() + 1;

    public int Size => classes * (features + 1);

    /// <summary>The same problem on every step-th sample.</summary>
    public SoftmaxRegression Shard(int index, int count)
    {
        int length = x.Length / count;
        return new SoftmaxRegression(x[(index * length)..((index + 1) * length)], y[(index * length)..((index + 1) * length)]);
    }

    public double Loss(double[] theta)
    {
        using DisposeScope scope = NewDisposeScope();
        return Loss(tensor(theta)).item<double>();
    }

    public double[] Gradient(double[] theta)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor leaf = tensor(theta).requires_grad_();
        Loss(leaf).backward();
        return leaf.grad!.data<double>().ToArray();
    }

    public double[][] Hessian(double[] theta)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor leaf = tensor(theta).requires_grad_();
        Tensor gradient = autograd.grad([Loss(leaf)], [leaf], null, true, true)[0];
        return [.. Enumerable.Range(0, theta.Length).Select(i =>
            autograd.grad([gradient[i]], [leaf], null, true)[0].data<double>().ToArray())];
    }

    private Tensor Loss(Tensor theta)
    {
        Tensor weights = theta.narrow(0, 0, classes * features).view(classes, features);
        Tensor bias = theta.narrow(0, classes * features, classes);
        Tensor inputs = tensor(x.SelectMany(row => row).ToArray()).view(x.Length, features);
        return cross_entropy(inputs.matmul(weights.t()) + bias, tensor(y));
    }
}
