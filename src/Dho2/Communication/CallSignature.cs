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
