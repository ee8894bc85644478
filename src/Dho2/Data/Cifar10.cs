using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Data;

/// <summary>
/// Loads CIFAR-10 (Krizhevsky 2009) from a folder of its binary files: <c>data_batch_1.bin</c> to <c>data_batch_5.bin</c> and
/// <c>test_batch.bin</c>, each a sequence of records of one label byte and 32 x 32 pixels for red, green and blue.
/// </summary>
public static class Cifar10
{
    private const int Side = 32, Channels = 3, Classes = 10, TrainingFiles = 5;
    private const int ImageBytes = Channels * Side * Side, RecordBytes = 1 + ImageBytes;

    // Of the training images' pixels in [0, 1], computed from the data.
    private static readonly float[] ChannelMeans = [0.4914f, 0.4822f, 0.4465f], ChannelDeviations = [0.2470f, 0.2435f, 0.2616f];

    /// <summary>Mean of all pixels of the training images, which are in [0, 1], for red, green and blue.</summary>
    public static IReadOnlyList<float> Means => ChannelMeans;

    /// <summary>Standard deviation of all pixels of the training images for red, green and blue.</summary>
    public static IReadOnlyList<float> Deviations => ChannelDeviations;

    /// <summary>Loads the training images.</summary>
    /// <param name="folder">Where the files lie.</param>
    /// <param name="normalize">Whether <see cref="Means"/> and <see cref="Deviations"/> of the channels become 0 and 1; else pixels are in [0, 1].</param>
    /// <returns>Images (N, 3, 32, 32) and labels (N) from 0 to 9.</returns>
    /// <exception cref="FileNotFoundException">A file is missing.</exception>
    /// <exception cref="InvalidDataException">A file is damaged.</exception>
    public static LabelledImages LoadTraining(string folder, bool normalize = false) =>
        Load([.. Enumerable.Range(1, TrainingFiles).Select(i => Path.Combine(folder, $"data_batch_{i}.bin"))], normalize);

    /// <summary>Loads the test images.</summary>
    /// <inheritdoc cref="LoadTraining"/>
    public static LabelledImages LoadTest(string folder, bool normalize = false) => Load([Path.Combine(folder, "test_batch.bin")], normalize);

    private static LabelledImages Load(string[] files, bool normalize)
    {
        byte[][] contents = [.. files.Select(Read)];
        int count = contents.Sum(content => content.Length / RecordBytes);
        byte[] pixels = new byte[checked(count * ImageBytes)];
        long[] labels = new long[count];
        int at = 0;
        foreach (byte[] content in contents)
        {
            for (int start = 0; start < content.Length; start += RecordBytes)
            {
                labels[at] = content[start];
                content.AsSpan(start + 1, ImageBytes).CopyTo(pixels.AsSpan(at * ImageBytes));
                at++;
            }
        }

        using DisposeScope scope = NewDisposeScope();
        Tensor images = tensor(pixels, [count, Channels, Side, Side], ScalarType.Byte).to_type(ScalarType.Float32).div_(byte.MaxValue);
        if (normalize)
        {
            images.sub_(tensor(ChannelMeans).view(1, Channels, 1, 1)).div_(tensor(ChannelDeviations).view(1, Channels, 1, 1));
        }

        return new LabelledImages(images.MoveToOuterDisposeScope(), tensor(labels).MoveToOuterDisposeScope());
    }

    private static byte[] Read(string file)
    {
        if (!File.Exists(file))
        {
            throw new FileNotFoundException(
                $"There is no {Path.GetFileName(file)} in {Path.GetFullPath(Path.GetDirectoryName(file)!)}: the binary version of CIFAR-10 has it.", file);
        }

        byte[] content = File.ReadAllBytes(file);
        if (content.Length == 0 || content.Length % RecordBytes != 0)
        {
            throw new InvalidDataException(
                $"{file}, byte {content.Length - (content.Length % RecordBytes)}: it ends after {content.Length % RecordBytes} bytes of a record, expected records of {RecordBytes} bytes: a label and an image each.");
        }

        for (int start = 0; start < content.Length; start += RecordBytes)
        {
            if (content[start] >= Classes)
            {
                throw new InvalidDataException($"{file}, byte {start}: label {content[start]}, expected 0 to {Classes - 1}.");
            }
        }

        return content;
    }
}
