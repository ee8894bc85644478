using System;
using System.IO;
using System.Linq;
using System.Security.Cryptography;
using Dho2.Data;
using Dho2.Tests.Shared;
using static TorchSharp.torch;

namespace Dho2.Tests.Data;

public sealed class MnistTests : IDisposable
{
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("dho2-mnist-");

    private static string RealFolder => BuildMetadata.RepositoryPath("samples/data/mnist");

    public void Dispose() => folder.Delete(recursive: true);

    [Fact]
    public void The_training_set_is_the_real_one()
    {
        using LabelledImages train = Mnist.LoadTraining(RealFolder);

        Assert.Equal([60_000, 1, 28, 28], train.Images.shape);
        Assert.Equal([60_000], train.Labels.shape);
        Assert.Equal((ScalarType.Float32, ScalarType.Int64), (train.Images.dtype, train.Labels.dtype));
        using Tensor classes = train.Labels.bincount(null, 10);
        Assert.Equal([5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949], classes.data<long>().ToArray());
        Assert.Equal((0f, 1f), (train.Images.min().item<float>(), train.Images.max().item<float>()));
        Assert.Equal(Mnist.Mean, train.Images.mean().item<float>(), 4);
        Assert.Equal(Mnist.Deviation, train.Images.std().item<float>(), 4);
    }

    [Fact]
    public void The_test_set_is_the_real_one_and_is_normalised_on_request()
    {
        using LabelledImages test = Mnist.LoadTest(RealFolder, Mnist.Mean, Mnist.Deviation);

        Assert.Equal([10_000, 1, 28, 28], test.Images.shape);
        Assert.Equal(10_000, test.Count);
        Assert.Equal([7, 2, 1, 0, 4], test.Labels[..5].data<long>().ToArray());
        Assert.Equal(-Mnist.Mean / Mnist.Deviation, test.Images.min().item<float>(), 4);
        Assert.Equal((1 - Mnist.Mean) / Mnist.Deviation, test.Images.max().item<float>(), 4);
    }

    [Fact]
    public void The_files_have_the_checksums_of_their_description()
    {
        string description = File.ReadAllText(Path.Combine(RealFolder, "README.md"));
        string[] files = Directory.GetFiles(RealFolder, "*.gz");

        Assert.Equal(4, files.Length);
        Assert.All(files, file =>
        {
            string hash = Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(file)));
            Assert.Contains(description.Split('\n'), line => line.Contains($"`{Path.GetFileName(file)}`") && line.Contains($"`{hash}`"));
        });
    }

    [Fact]
    public void Pixels_and_labels_keep_their_places()
    {
        byte[] pixels = [.. Enumerable.Range(0, 3 * 28 * 28).Select(i => (byte)(i % 256))];
        Write("train-images-idx3-ubyte", IdxReaderTests.Idx(0x08, [3, 28, 28], pixels));
        Write("train-labels-idx1-ubyte.gz", IdxReaderTests.Gzip(IdxReaderTests.Idx(0x08, [3], [9, 0, 4])));

        using LabelledImages set = Mnist.LoadTraining(folder.FullName);

        Assert.Equal([9, 0, 4], set.Labels.data<long>().ToArray());
        Assert.Equal(pixels.Select(p => p / 255f), set.Images.data<float>().ToArray());
    }

    [Fact]
    public void Refuses_images_of_another_size()
    {
        Write("t10k-images-idx3-ubyte", IdxReaderTests.Idx(0x08, [2, 14, 28], new byte[2 * 14 * 28]));
        Write("t10k-labels-idx1-ubyte", IdxReaderTests.Idx(0x08, [2], [0, 1]));

        Refuses("t10k-images-idx3-ubyte, byte 8: images of 14 x 28 pixels, expected 28 x 28.");
    }

    [Fact]
    public void Refuses_labels_of_another_number()
    {
        Write("t10k-images-idx3-ubyte", IdxReaderTests.Idx(0x08, [2, 28, 28], new byte[2 * 28 * 28]));
        Write("t10k-labels-idx1-ubyte", IdxReaderTests.Idx(0x08, [3], [0, 1, 2]));

        Refuses("t10k-labels-idx1-ubyte, byte 4: 3 labels, expected 2, one for each image of ");
    }

    [Fact]
    public void Refuses_a_label_that_is_no_digit()
    {
        Write("t10k-images-idx3-ubyte", IdxReaderTests.Idx(0x08, [3, 28, 28], new byte[3 * 28 * 28]));
        Write("t10k-labels-idx1-ubyte", IdxReaderTests.Idx(0x08, [3], [0, 9, 10]));

        Refuses("t10k-labels-idx1-ubyte, byte 10: label 10, expected 0 to 9.");
    }

    [Fact]
    public void Refuses_labels_in_place_of_images()
    {
        Write("t10k-images-idx3-ubyte", IdxReaderTests.Idx(0x08, [3], [0, 1, 2]));
        Write("t10k-labels-idx1-ubyte", IdxReaderTests.Idx(0x08, [3], [0, 1, 2]));

        Refuses("t10k-images-idx3-ubyte, byte 3: 1 dimensions, expected 3.");
    }

    [Fact]
    public void A_missing_file_is_named_with_both_spellings()
    {
        var missing = Assert.Throws<FileNotFoundException>(() => Mnist.LoadTest(folder.FullName));

        Assert.Equal($"There is neither t10k-images-idx3-ubyte nor t10k-images-idx3-ubyte.gz in {folder.FullName}.", missing.Message);
    }

    private void Refuses(string expected)
        => Assert.Contains(expected, Assert.Throws<InvalidDataException>(() => Mnist.LoadTest(folder.FullName)).Message);

    private void Write(string name, byte[] content) => File.WriteAllBytes(Path.Combine(folder.FullName, name), content);
}
