using System;
using TorchSharp;

namespace Dho2.Communication;

/// <summary>The calls that may wait, as messages name them.</summary>
internal enum CallKind
{
    Receive,
    AllReduce,
    AllReduceNumbers,
    Broadcast,
    AllGather,
    ReduceScatter,
    Barrier,
    Split,
    Finish,
}

/// <summary>What a collective call is about: all ranks of a group must call with the same.</summary>
/// <param name="Kind">The call.</param>
/// <param name="Count">The number of elements that every rank brings.</param>
/// <param name="Type">Their type.</param>
/// <param name="Detail">The reduction or the root.</param>
internal readonly record struct CallSignature(CallKind Kind, long Count, torch.ScalarType Type, int Detail)
{
    public override string ToString() => Kind switch
    {
        CallKind.Barrier or CallKind.Split => Kind.ToString(),
        CallKind.Finish => "the end of a collective",
        CallKind.AllReduce or CallKind.AllReduceNumbers => $"AllReduce({(Reduction)Detail}) of {Count} x {Type}",
        CallKind.Broadcast => $"Broadcast of {Count} x {Type} from rank {Detail}",
        _ => $"{Kind} of {Count} x {Type}",
    };
}

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
