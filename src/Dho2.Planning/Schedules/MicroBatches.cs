using System;

namespace Dho2.Planning;

/// <summary>How a batch is divided into micro-batches: the one rule that planner and runtime share.</summary>
public static class MicroBatches
{
    /// <summary>
    /// The sizes of the micro-batches, as equal as whole samples allow, larger ones first. A batch with fewer samples
    /// than micro-batches, such as the last of an epoch, makes fewer of them: none is empty.
    /// </summary>
    /// <param name="batch">Samples; at least 1.</param>
    /// <param name="count">Micro-batches wanted; at least 1.</param>
    /// <exception cref="ArgumentOutOfRangeException">A number is below 1.</exception>
    public static EquatableArray<int> Split(int batch, int count)
    {
        if (batch < 1)
        {
            throw new ArgumentOutOfRangeException(nameof(batch), batch, "A batch has at least one sample.");
        }

        if (count < 1)
        {
            throw new ArgumentOutOfRangeException(nameof(count), count, "A batch has at least one micro-batch.");
        }

        int parts = Math.Min(batch, count);
        var sizes = new int[parts];
        for (int i = 0; i < parts; i++)
        {
            sizes[i] = (batch / parts) + (i < batch % parts ? 1 : 0);
        }

        return sizes.ToEquatableArray();
    }
}
