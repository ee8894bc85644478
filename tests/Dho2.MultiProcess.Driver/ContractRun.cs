using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Reflection;
using Dho2.Communication;
using Dho2.Tests.Communication;
using TorchSharp;
using Xunit.Sdk;

namespace Dho2.MultiProcess.Driver;

/// <summary>Runs the tests of communicators on all ranks of the world, in step, and writes down how each ended on each rank.</summary>
internal static class ContractRun
{
    private static readonly Type[] Classes = [typeof(CollectiveTests), typeof(PointToPointTests), typeof(LeakTests), typeof(FailureTests)];

    /// <summary>The world.</summary>
    public static ProcessWorld World { get; private set; } = null!;

    /// <summary>Where the ranks' results meet.</summary>
    public static string Folder { get; private set; } = null!;

    public static int Run(string folder)
    {
        torch.set_num_threads(1);
        Folder = folder;
        using World joined = Dho2.World.Join();
        World = (ProcessWorld)joined;
        int rank = World.Open(World.Size!.Value)[0].Rank;
        using (var results = new StreamWriter(Path.Combine(folder, $"results-{rank}")))
        {
            foreach ((string name, Action test) in Tests())
            {
                results.WriteLine($"{Outcome(test)} {name}");
                results.Flush();
            }

            results.WriteLine("END");
        }

        return 0;
    }

    private static IEnumerable<(string Name, Action Test)> Tests()
    {
        foreach (Type type in Classes)
        {
            foreach (MethodInfo method in type.GetMethods().Where(m => m.GetCustomAttribute<FactAttribute>() is not null).OrderBy(m => m.MetadataToken))
            {
                DataAttribute[] sources = [.. method.GetCustomAttributes<DataAttribute>()];
                IEnumerable<object?[]> rows = sources.Length == 0 ? [[]] : sources.SelectMany(source => source.GetData(method));
                foreach (object?[] row in rows)
                {
                    yield return ($"{type.Name}.{method.Name}({string.Join(", ", row)})", () => method.Invoke(Activator.CreateInstance(type), row));
                }
            }
        }
    }

    private static string Outcome(Action test)
    {
        try
        {
            test();
            return "PASS";
        }
        catch (TargetInvocationException e) when (e.InnerException is WorldTooSmallException)
        {
            return "SKIP";
        }
        catch (TargetInvocationException e)
        {
            return $"FAIL [{e.InnerException!.ToString().ReplaceLineEndings(" | ")}]";
        }
    }
}
