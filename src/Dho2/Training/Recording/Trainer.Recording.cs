using System;
using System.IO;
using Dho2.Records;

namespace Dho2;

/// <summary>Writing down what happens.</summary>
public sealed partial class Trainer
{
    private RunRecorder? recorder;
    private Exception? cause;

    /// <summary>
    /// Raised once if the record of the run cannot be written any further: on the thread of the rank that noticed. Where
    /// nobody listens, a line goes to the error stream. Training goes on.
    /// </summary>
    public event Action<RecordingFailed>? RecordingFailed;

    /// <exception cref="IOException">The folder or a file in it cannot be made.</exception>
    private void OpenRecord(string transport)
    {
        if (Options.Record is not null && (ranks.Length > 0 || curvatureRanks is not null))
        {
            recorder = new RunRecorder(setup, ranks, curvatureRanks, transport, memory, Resumed?.Path, ReportRecordingFailed);
        }
    }

    private void CloseRecord()
    {
        recorder?.End(cause);
        recorder?.Dispose();
    }

    private void ReportRecordingFailed(RecordingFailed failed)
    {
        if (RecordingFailed is { } listeners)
        {
            listeners(failed);
        }
        else
        {
            Console.Error.WriteLine($"The run is not recorded any further: {failed.Path}: {failed.Cause}");
        }
    }
}
