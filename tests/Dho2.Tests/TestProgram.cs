using System;
using System.Collections.Generic;
using System.Linq;
using System.Reflection;
using System.Threading;
using Xunit.Abstractions;
using Xunit.Sdk;

namespace Dho2.Tests;

/// <summary>
/// Runs this assembly's tests in this process, for machines that have no SDK: the bundle for machines with GPUs
/// (build/bundle.sh) takes it along.
/// </summary>
internal static class TestProgram
{
    /// <summary>Runs the tests whose names contain a text, and prints those that fail and how many did what.</summary>
    /// <returns>The exit status: 1 if a test has failed, or none was found.</returns>
    public static int Run(string part)
    {
        using var framework = new XunitTestFramework(new Sink());
        using var found = new Sink();
        using (ITestFrameworkDiscoverer discoverer = framework.GetDiscoverer(Reflector.Wrap(typeof(TestProgram).Assembly)))
        {
            discoverer.Find(includeSourceInformation: false, found, new Options());
            found.Ended.Wait();
        }

        using var ran = new Sink();
        using (ITestFrameworkExecutor executor = framework.GetExecutor(typeof(TestProgram).Assembly.GetName()))
        {
            executor.RunTests(found.Cases.Where(test => test.DisplayName.Contains(part, StringComparison.OrdinalIgnoreCase)), ran, new Options());
            ran.Ended.Wait();
        }

        Console.WriteLine($"{ran.Passed} passed, {ran.Failed} failed, {ran.Skipped} skipped");
        return ran.Failed > 0 || ran.Passed + ran.Skipped == 0 ? 1 : 0;
    }

    private sealed class Options : ITestFrameworkDiscoveryOptions, ITestFrameworkExecutionOptions
    {
        private readonly Dictionary<string, object?> values = [];

        public TValue GetValue<TValue>(string name) => values.TryGetValue(name, out object? value) && value is TValue typed ? typed : default!;

        public void SetValue<TValue>(string name, TValue value) => values[name] = value;
    }

    private sealed class Sink : LongLivedMarshalByRefObject, IMessageSink, IDisposable
    {
        public ManualResetEventSlim Ended { get; } = new();

        public List<ITestCase> Cases { get; } = [];

        public int Passed { get; private set; }

        public int Failed { get; private set; }

        public int Skipped { get; private set; }

        public bool OnMessage(IMessageSinkMessage message)
        {
            switch (message)
            {
                case ITestCaseDiscoveryMessage discovered:
                    Cases.Add(discovered.TestCase);
                    break;
                case ITestPassed:
                    Passed++;
                    break;
                case ITestSkipped skipped:
                    Skipped++;
                    Console.WriteLine($"skipped {skipped.Test.DisplayName}: {skipped.Reason}");
                    break;
                case ITestFailed failed:
                    Failed++;
                    Console.WriteLine($"FAILED {failed.Test.DisplayName}\n{string.Join("\n", failed.Messages)}\n{string.Join("\n", failed.StackTraces)}");
                    break;
                case IDiscoveryCompleteMessage or ITestAssemblyFinished:
                    Ended.Set();
                    break;
            }

            return true;
        }

        public void Dispose() => Ended.Dispose();
    }
}
