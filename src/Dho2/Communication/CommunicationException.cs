using System;

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
}
