using System;
using TorchSharp;

namespace Dho2.Communication;

/// <summary>What one rank brings to a collective; written by its rank before the meeting, read by all after it.</summary>
internal sealed class Contribution
{
    /// <summary>The call that the rank makes.</summary>
    public CallSignature Signature { get; set; }

    /// <summary>Its numbers: the first <c>Signature.Count</c> elements.</summary>
    public double[] Numbers { get; private set; } = [];

    /// <summary>
    /// Its tensor, under a handle of its own: where a failing rank disposes its tensor, a peer may still be reading here.
    /// </summary>
    public torch.Tensor? Tensor { get; set; }

    /// <summary>The group that the rank has founded in a split.</summary>
    public InProcessGroup? Founded { get; set; }

    /// <summary>Copies numbers in; allocates only while they grow.</summary>
    public void Set(ReadOnlySpan<double> values)
    {
        if (Numbers.Length < values.Length)
        {
            Numbers = new double[values.Length];
        }

        values.CopyTo(Numbers);
    }
}
