using System;
using System.IO;
using System.Linq;
using static TorchSharp.torch;

namespace Dho2.Data;

/// <summary>Loads MNIST, or a set of the same form such as Fashion-MNIST, from a folder of IDX files.</summary>
public static class Mnist
{
    /// <summary>Mean of all pixels of MNIST's training images, which are in [0, 1].</summary>
    public const double Mean = 0.1307;

    /// <summary>Standard deviation of all pixels of MNIST's training images.</summary>
    public const double Deviation = 0.3081;

    private const int Side = 28, Classes = 10;

    /// <summary>Loads the training images: <c>train-images-idx3-ubyte</c> and <c>train-labels-idx1-ubyte</c>.</summary>
    /// <param name="folder">Where the files lie, plain or with the ending <c>.gz</c>.</param>
    /// <param name="mean">What is subtracted from every pixel; 0 leaves pixels in [0, 1].</param>
    /// <param name="deviation">What every pixel is divided by afterwards; 1 leaves it.</param>
    /// <returns>Images (N, 1, 28, 28) and labels (N) from 0 to 9.</returns>
    /// <exception cref="FileNotFoundException">A file is missing.</exception>
    /// <exception cref="InvalidDataException">A file is damaged, or images and labels do not belong together.</exception>
    public static LabelledImages LoadTraining(string folder, double mean = 0, double deviation = 1)
        => Load(folder, "train", mean, deviation);

    /// <summary>Loads the test images: <c>t10k-images-idx3-ubyte</c> and <c>t10k-labels-idx1-ubyte</c>.</summary>
    /// <inheritdoc cref="LoadTraining"/>
    public static LabelledImages LoadTest(string folder, double mean = 0, double deviation = 1)
        => Load(folder, "t10k", mean, deviation);

    private static LabelledImages Load(string folder, string set, double mean, double deviation)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(deviation);
        string imagePath = Find(folder, $"{set}-images-idx3-ubyte");
        string labelPath = Find(folder, $"{set}-labels-idx1-ubyte");
        IdxArray images = IdxReader.Read(imagePath, dimensions: 3);
        IdxArray labels = IdxReader.Read(labelPath, dimensions: 1);
        if (images.Dimensions[1] != Side || images.Dimensions[2] != Side)
        {
            throw new InvalidDataException($"{imagePath}, byte 8: images of {images.Dimensions[1]} x {images.Dimensions[2]} pixels, expected {Side} x {Side}.");
        }

        if (labels.Dimensions[0] != images.Dimensions[0])
        {
            throw new InvalidDataException($"{labelPath}, byte 4: {labels.Dimensions[0]} labels, expected {images.Dimensions[0]}, one for each image of {imagePath}.");
        }

        int wrong = labels.Values.AsSpan().IndexOfAnyExceptInRange((byte)0, (byte)(Classes - 1));
        if (wrong >= 0)
        {
            throw new InvalidDataException($"{labelPath}, byte {labels.HeaderBytes + wrong}: label {labels.Values[wrong]}, expected 0 to {Classes - 1}.");
        }

        return new LabelledImages(ToImages(images, mean, deviation), ToLabels(labels));
    }

    private static Tensor ToImages(IdxArray images, double mean, double deviation)
    {
        using Tensor bytes = tensor(images.Values, [images.Dimensions[0], 1, Side, Side], ScalarType.Byte);
        return bytes.to_type(ScalarType.Float32).div_(255).sub_(mean).div_(deviation);
    }

    private static Tensor ToLabels(IdxArray labels)
    {
        using Tensor bytes = tensor(labels.Values, ScalarType.Byte);
        return bytes.to_type(ScalarType.Int64);
    }

    private static string Find(string folder, string name)
    {
        string[] candidates = [Path.Combine(folder, name), Path.Combine(folder, name + ".gz")];
        return candidates.FirstOrDefault(File.Exists)
            ?? throw new FileNotFoundException($"There is neither {name} nor {name}.gz in {Path.GetFullPath(folder)}.", candidates[0]);
    }
}
