using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Reflection;
using Dho2.Planning.Tests.Catalogue;
using TorchSharp;
using Xunit.Abstractions;

namespace Dho2.Planning.Tests.Catalogue
{
    /// <summary>
    /// The catalogue says of every operation and layer whether its gradient can be differentiated again. What it says is
    /// tried, on the calls that the other tests make, in a process of its own: libtorch ends the process where it is wrong.
    /// </summary>
    public sealed class SecondDerivativeTests(ITestOutputHelper output)
    {
        /// <summary>The first argument of the process that tries.</summary>
        internal const string Command = "second-derivatives";

        [Fact]
        public void TheCatalogueSaysWhichCallsCanBeDifferentiatedTwice()
        {
            List<CallCase> calls = Collect();
            string[] tried = Try(calls.Count);
            int confirmed = 0;
            List<string> wrong = [];
            for (int i = 0; i < calls.Count; i++)
            {
                bool? said = Agreement.SecondDerivativeOf(calls[i]);
                bool? found = tried[i] switch { "yes" => true, "no" or "ended" => false, _ => null };
                if (said is not null && found is not null)
                {
                    confirmed++;
                    if (said != found)
                    {
                        wrong.Add($"{calls[i]}: the catalogue says {said}, libtorch {tried[i]}");
                    }
                }
            }

            output.WriteLine(
                $"{calls.Count} calls of {calls.Select(c => c.Name).Distinct().Count()} operations and layers: {tried.Count(t => t == "yes")} can be differentiated twice, "
                + $"{tried.Count(t => t == "no")} cannot, {tried.Count(t => t == "ended")} ended the process, {tried.Count(t => t == "none")} have no gradient or are refused");
            Assert.True(wrong.Count == 0, string.Join("\n", wrong));
            Assert.True(confirmed > 800, $"Only {confirmed} calls told anything.");
            Assert.Contains("yes", tried);
            Assert.Contains(tried, t => t is "no" or "ended");
        }

        /// <summary>What the process does that tries: one line before each call and one after it.</summary>
        internal static void Run(int first)
        {
            List<CallCase> calls = Collect();

            // As estimates of the curvature do.
            torch.backends.cuda.enable_flash_sdp(false);
            for (int i = first; i < calls.Count; i++)
            {
                Console.Out.WriteLine($"{i} ");
                Console.Out.Flush();
                string found = TorchOracle.HasSecondDerivative(calls[i]) switch { true => "yes", false => "no", null => "none" };
                Console.Out.WriteLine($"{i} {found}");
                Console.Out.Flush();
            }
        }

        private static string[] Try(int count)
        {
            var found = new string[count];
            for (int next = 0; next < count;)
            {
                string program = typeof(SecondDerivativeTests).Assembly.Location;
                var start = new ProcessStartInfo("dotnet", ["exec", program, Command, next.ToString(CultureInfo.InvariantCulture)])
                {
                    RedirectStandardOutput = true,
                    RedirectStandardError = true,
                    WorkingDirectory = Path.GetDirectoryName(program)!,
                };
                start.Environment["DOTNET_DbgEnableMiniDump"] = "0";
                using Process process = Process.Start(start)!;
                process.ErrorDataReceived += (_, _) => { };
                process.BeginErrorReadLine();
                int before = next;
                while (process.StandardOutput.ReadLine() is { } line)
                {
                    if (line.Split(' ') is [var number, var answer] && int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out int call))
                    {
                        found[call] = answer.Length == 0 ? "ended" : answer;
                        next = call + 1;
                    }
                }

                process.WaitForExit();
                Assert.True(next > before, $"The process that tries calls from {before} on ended with status {process.ExitCode} before the first.");
            }

            return found;
        }

        /// <summary>The calls of all tests of the catalogue, the same in every process.</summary>
        private static List<CallCase> Collect()
        {
            List<CallCase> calls = Agreement.Collected = [];
            try
            {
                foreach (Type type in new[] { typeof(OperationTests), typeof(LayerTests), typeof(SequenceLayerTests) })
                {
                    foreach (MethodInfo test in type.GetMethods().Where(m => m.IsDefined(typeof(FactAttribute))).OrderBy(m => m.Name, StringComparer.Ordinal))
                    {
                        object?[][] data = [.. test.GetCustomAttributes<Xunit.Sdk.DataAttribute>().SelectMany(attribute => attribute.GetData(test))];
                        foreach (object?[] arguments in data.Length == 0 ? [[]] : data)
                        {
                            test.Invoke(Activator.CreateInstance(type), arguments);
                        }
                    }
                }

                return calls;
            }
            finally
            {
                Agreement.Collected = null;
            }
        }
    }
}

/// <summary>The test assembly as a program of its own.</summary>
internal static class Program
{
    private static int Main(string[] arguments)
    {
        if (arguments is not [SecondDerivativeTests.Command, var first])
        {
            Console.Error.WriteLine($"usage: {SecondDerivativeTests.Command} FIRST");
            return 2;
        }

        SecondDerivativeTests.Run(int.Parse(first, CultureInfo.InvariantCulture));
        return 0;
    }
}
