using System;
using System.Buffers.Binary;
using System.IO;

namespace Dho2.EndToEnd.Tests.Samples;

/// <summary>A folder of IDX files in MNIST's form with a few easy images: each class is a bright block at a place of its own.</summary>
public sealed class SmallMnist : IDisposable
{
    public const int TrainingImages = 202;

    private const int Side = 28, Classes = 10, TestImages = 20;
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("dho2-small-mnist-");
    private readonly Random random = new(3);

    public SmallMnist()
    {
        Write("train", TrainingImages);
        Write("t10k", TestImages);
    }

    public string Folder => folder.FullName;

    public void Dispose() => folder.Delete(recursive: true);

    private void Write(string set, int count)
    {
        byte[] images = new byte[16 + (count * Side * Side)], labels = new byte[8 + count];
        WriteHeader(images, 0x803, count, Side, Side);
        WriteHeader(labels, 0x801, count);
        for (int i = 0; i < count; i++)
        {
            labels[8 + i] = (byte)(i % Classes);
            Draw(images.AsSpan(16 + (i * Side * Side), Side * Side), i % Classes);
        }

        File.WriteAllBytes(Path.Combine(Folder, $"{set}-images-idx3-ubyte"), images);
        File.WriteAllBytes(Path.Combine(Folder, $"{set}-labels-idx1-ubyte"), labels);
    }

    private void Draw(Span<byte> image, int label)
    {
        int top = 2 + (label / 5 * 14), left = 1 + (label % 5 * 5);
        for (int at = 0; at < image.Length; at++)
        {
            (int row, int column) = (at / Side, at % Side);
            bool isBright = row >= top && row < top + 9 && column >= left && column < left + 5;
            image[at] = (byte)random.Next(isBright ? 150 : 0, isBright ? 256 : 40);
        }
    }

    private static void WriteHeader(byte[] file, params int[] words)
    {
        for (int i = 0; i < words.Length; i++)
        {
            BinaryPrimitives.WriteInt32BigEndian(file.AsSpan(4 * i), words[i]);
        }
    }
}
