using System;
using Dho2.Data;
using static TorchSharp.torch;

namespace Dho2.Samples;

/// <summary>Data sets from what the readers return.</summary>
public static class Datasets
{
    /// <summary>Makes a data set of the first images, and frees what they were taken from.</summary>
    /// <param name="images">The images with their labels.</param>
    /// <param name="most">The most images to take.</param>
    public static Dho2.Data.TensorDataset ToDataset(this LabelledImages images, int most)
    {
        using (images)
        {
            long count = Math.Min(images.Count, most);
            using Tensor inputs = images.Images.narrow(0, 0, count).clone();
            using Tensor labels = images.Labels.narrow(0, 0, count).clone();
            return new Dho2.Data.TensorDataset(inputs, labels);
        }
    }
}
