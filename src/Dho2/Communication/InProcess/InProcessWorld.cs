using System;
using System.Collections.Generic;
using System.Linq;

namespace Dho2.Communication;

/// <summary>A world whose ranks are threads of this process.</summary>
internal sealed class InProcessWorld(WorldOptions options) : World(options.Timeout!.Value)
{
    private readonly List<ProgressFile> files = [];
    private readonly List<RankActivity> activities = [];
    private string? previousFailure;

    public override string? PreviousFailure => previousFailure;

    /// <inheritdoc/>
    public override IReadOnlyList<ICommunicator> Open(int size)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(size, 1);
        var group = new InProcessGroup(Enumerable.Range(0, size).ToArray(), Timeout, new SharedFailure());
        RankActivity[] opened = [.. CreateActivities(size)];
        activities.AddRange(opened);
        return [.. opened.Select((activity, rank) => new InProcessCommunicator(group, rank, activity, DevicePlacement.For(rank, options)))];
    }

    public override int Report(Exception failure)
    {
        activities.ForEach(activity => activity.End(well: false));
        activities.Clear();
        return base.Report(failure);
    }

    protected override void Dispose(bool disposing)
    {
        activities.ForEach(activity => activity.End(well: true));
        activities.Clear();
        files.ForEach(file => file.Dispose());
        files.Clear();
    }

    private IEnumerable<RankActivity> CreateActivities(int size)
    {
        if (options.ProgressFolder is not { } asked)
        {
            return Enumerable.Range(0, size).Select(_ => new RankActivity());
        }

        LocalProcess self = LocalProcess.Self();
        ProgressFolder folder = ProgressFolder.Open(asked, $"{self.Id}-{self.Started}");
        ProgressFile[] made = [.. Enumerable.Range(0, size).Select(rank => folder.CreateFile(rank, size))];
        previousFailure ??= folder.PreviousFailure;
        files.AddRange(made);
        return made.Select(file => new RankActivity(file));
    }
}
