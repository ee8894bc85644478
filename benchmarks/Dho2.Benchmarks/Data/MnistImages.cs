using Dho2.Data;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Benchmarks.Data;

/// <summary>The first images of MNIST, pixels in [0, 1].</summary>
internal static class MnistImages
{
    // Mean and deviation of the training set.
    private const double Mean = 0.1307;
    private const double Deviation = 0.3081;

    /// <summary>Pixels in [0, 1] with their mean taken away and divided by their deviation.</summary>
    public static Tensor Standardise(Tensor pixels) => (pixels - Mean) / Deviation;

    /// <summary>Loads float32 (count, 1, 28, 28).</summary>
    public static Tensor Load(string folder, bool train, int count)
    {
        using LabelledImages all = train ? Mnist.LoadTraining(folder) : Mnist.LoadTest(folder);
        using Tensor first = all.Images.narrow(0, 0, count);
        return first.clone();
    }
}
