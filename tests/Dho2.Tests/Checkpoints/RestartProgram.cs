using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Tests.Curvature;
using Dho2.Tests.Pipelines;

namespace Dho2.Tests.Checkpoints;

/// <summary>
/// The tests as a program: <c>FOLDER stop|go [CASE...]</c> runs cases of <see cref="RestartCases"/> and prints what they
/// came to; <c>autograd-failures</c> runs <see cref="AutogradFailures"/>; <c>executor-allocations</c>
/// runs <see cref="ExecutorAllocations"/>; <c>tests [TEXT]</c> runs the tests.
/// </summary>
internal static class RestartProgram
{
    private static int Main(string[] arguments)
    {
        if (arguments is ["autograd-failures"])
        {
            return AutogradFailures.Run();
        }

        if (arguments is ["executor-allocations"])
        {
            return ExecutorAllocations.Run();
        }

        if (arguments is ["tests", .. string[] part] && part.Length < 2)
        {
            return TestProgram.Run(part.FirstOrDefault(string.Empty));
        }

        if (arguments is not [string folder, "stop" or "go", .. string[] cases])
        {
            Console.Error.WriteLine("usage: FOLDER stop|go [CASE...] | autograd-failures | executor-allocations | tests [TEXT]");
            return 2;
        }

        foreach (string name in cases.Length > 0 ? cases : RestartCases.All.Keys.AsEnumerable())
        {
            List<string> lines = RestartCases.Run(name, folder, arguments[1] == "stop");
            Console.WriteLine(string.Join("\n", lines));
        }

        return 0;
    }
}
