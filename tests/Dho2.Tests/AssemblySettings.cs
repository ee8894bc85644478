using System.Runtime.CompilerServices;
using TorchSharp;

// Counts of live tensors, the default random generator and the number of threads belong to the process.
[assembly: CollectionBehavior(DisableTestParallelization = true)]

namespace Dho2.Tests;

internal static class AssemblySettings
{
    // Ranks are threads here: several native threads for each of them would only wait for one another.
    [ModuleInitializer]
    internal static void OneNativeThreadPerRank() => torch.set_num_threads(1);
}
