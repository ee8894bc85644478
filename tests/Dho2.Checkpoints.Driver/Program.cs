using System;
using System.Globalization;
using System.IO;
using System.Linq;

namespace Dho2.Checkpoints.Tests;

/// <summary>
/// A process that saves checkpoints until it is killed ("loop"), or until it cannot ("fill", which then looks at what is
/// left).
/// </summary>
internal static class Program
{
    private const int Elements = 60_000;
    private const int Keep = 3;

    private static int Main(string[] arguments)
    {
        var store = new CheckpointStore(arguments[1]);
        try
        {
            store.RemoveLeftovers();
            for (long step = store.Steps.FirstOrDefault() + 1; ; step++)
            {
                SampleCheckpoint.Save(store, step, Elements, (uint)Environment.ProcessId);
                if (arguments[0] == "loop")
                {
                    store.Retain(Keep, step);
                }

                Console.WriteLine(step.ToString(CultureInfo.InvariantCulture));
            }
        }
        catch (CheckpointException error)
        {
            Console.Error.WriteLine(error.Message);
            (CheckpointFolder? found, var refused) = store.FindNewest();
            Console.WriteLine($"found={found?.Manifest.Step} right={found is not null && SampleCheckpoint.IsRight(found)} refused={refused.Count} folders={Directory.GetFileSystemEntries(store.Folder).Length}");
            return 3;
        }
    }
}
