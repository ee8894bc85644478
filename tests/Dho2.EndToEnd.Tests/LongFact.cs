using System;

namespace Dho2.EndToEnd.Tests;

/// <summary>A test that takes minutes: it runs where DHO2_LONG_TESTS is 1.</summary>
internal sealed class LongFactAttribute : FactAttribute
{
    private const string Variable = "DHO2_LONG_TESTS";

    public LongFactAttribute()
    {
        if (Environment.GetEnvironmentVariable(Variable) != "1")
        {
            Skip = $"Takes minutes: set {Variable}=1 to run it.";
        }
    }
}
