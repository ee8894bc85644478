using System;
using System.IO;
using System.Linq;
using Dho2.Data;
using static TorchSharp.torch;

namespace Dho2.Tests.Data;

public sealed class Cifar10Tests : IDisposable
{
    private const int RecordBytes = 1 + (3 * 32 * 32);
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("dho2-cifar10-");

    public void Dispose() => folder.Delete(recursive: true);

    [Fact]
    public void The_files_become_one_set_in_their_order()
    {
        for (int file = 1; file <= 5; file++)
        {
            Write($"data_batch_{file}.bin", count: 2, label: file);
        }

        using LabelledImages train = Cifar10.LoadTraining(folder.FullName);

        Assert.Equal([10, 3, 32, 32], train.Images.shape);
        Assert.Equal([1, 1, 2, 2, 3, 3, 4, 4, 5, 5], train.Labels.data<long>().ToArray());
        Assert.Equal((ScalarType.Float32, ScalarType.Int64), (train.Images.dtype, train.Labels.dtype));

        // Pixel p of channel c of image i is i + 10 c + p modulo 256: rows first, one channel after the other.
        Assert.Equal([0, 1, 31], new[] { (0, 0), (0, 1), (0, 31) }.Select(at => Pixel(train, 0, 0, at.Item1, at.Item2)));
        Assert.Equal(32, Pixel(train, 0, 0, 1, 0));
        Assert.Equal([10, 20], new[] { 1, 2 }.Select(channel => Pixel(train, 0, channel, 0, 0)));
        Assert.Equal(1, Pixel(train, 9, 0, 0, 0));
    }

    [Fact]
    public void Channels_are_normalised_on_request()
    {
        Write("test_batch.bin", count: 1, label: 0);

        using LabelledImages plain = Cifar10.LoadTest(folder.FullName);
        using LabelledImages normal = Cifar10.LoadTest(folder.FullName, normalize: true);

        for (int channel = 0; channel < 3; channel++)
        {
            float expected = (plain.Images[0, channel, 3, 4].item<float>() - Cifar10.Means[channel]) / Cifar10.Deviations[channel];
            Assert.Equal(expected, normal.Images[0, channel, 3, 4].item<float>(), 5);
        }
    }

    [Fact]
    public void A_missing_file_is_named()
    {
        FileNotFoundException error = Assert.Throws<FileNotFoundException>(() => Cifar10.LoadTest(folder.FullName));
        Assert.Equal($"There is no test_batch.bin in {folder.FullName}: the binary version of CIFAR-10 has it.", error.Message);
    }

    [Fact]
    public void A_file_cut_short_and_a_label_out_of_range_are_named_with_the_byte()
    {
        string path = Write("test_batch.bin", count: 3, label: 1);
        byte[] whole = File.ReadAllBytes(path);
        File.WriteAllBytes(path, whole[..^5]);
        Assert.StartsWith(
            $"{path}, byte {2 * RecordBytes}: it ends after {RecordBytes - 5} bytes of a record,",
            Assert.Throws<InvalidDataException>(() => Cifar10.LoadTest(folder.FullName)).Message);
        File.WriteAllBytes(path, []);
        Assert.Throws<InvalidDataException>(() => Cifar10.LoadTest(folder.FullName));

        whole[2 * RecordBytes] = 10;
        File.WriteAllBytes(path, whole);
        Assert.Equal(
            $"{path}, byte {2 * RecordBytes}: label 10, expected 0 to 9.",
            Assert.Throws<InvalidDataException>(() => Cifar10.LoadTest(folder.FullName)).Message);
    }

    private string Write(string name, int count, int label)
    {
        byte[] content = new byte[count * RecordBytes];
        for (int i = 0; i < content.Length; i++)
        {
            (int image, int at) = (i / RecordBytes, (i % RecordBytes) - 1);
            content[i] = at < 0 ? (byte)label : (byte)(image + (10 * (at / 1024)) + (at % 1024));
        }

        string path = Path.Combine(folder.FullName, name);
        File.WriteAllBytes(path, content);
        return path;
    }

    private static int Pixel(LabelledImages images, int image, int channel, int row, int column) =>
        (int)Math.Round(255 * images.Images[image, channel, row, column].item<float>());
}
