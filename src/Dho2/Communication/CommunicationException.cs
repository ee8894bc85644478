using System;
using System.Collections.Generic;

namespace Dho2.Communication;

/// <summary>A rank could not reach its peers: one of them failed, or none came within the timeout.</summary>
public sealed class CommunicationException : Exception
{
    /// <summary>Creates the exception.</summary>
    /// <param name="message">What was awaited, by whom, from whom, and for how long.</param>
    /// <param name="inner">The failure of the rank that caused it, where known.</param>
    public CommunicationException(string message, Exception? inner = null)
        : base(message, inner)
    {
    }

    /// <summary>The ranks of the world that were waited for in vain; none where a failure elsewhere ended the wait.</summary>
    public IReadOnlyList<int> Awaited { get; init; } = [];
}

/// <summary>The failure of a rank in another process, as far as its words tell.</summary>
public sealed class RemoteRankException : Exception
{
    /// <summary>Creates the exception.</summary>
    /// <param name="rank">The rank in the world.</param>
    /// <param name="message">Its message.</param>
    public RemoteRankException(int rank, string message)
        : base(message) => Rank = rank;

    /// <summary>The rank in the world.</summary>
    public int Rank { get; }
}
