using System;
using System.Collections.Generic;
using System.Linq;

namespace Dho2.Communication;

/// <summary>A world whose ranks are threads of this process.</summary>
internal sealed class InProcessWorld(TimeSpan timeout) : World(timeout)
{
    /// <inheritdoc/>
    public override IReadOnlyList<ICommunicator> Open(int size)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(size, 1);
        var group = new InProcessGroup(Enumerable.Range(0, size).ToArray(), Timeout, new SharedFailure());
        return [.. Enumerable.Range(0, size).Select(rank => new InProcessCommunicator(group, rank))];
    }
}
