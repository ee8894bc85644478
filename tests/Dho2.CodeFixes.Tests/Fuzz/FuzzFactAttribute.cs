using System;

namespace Dho2.CodeFixes.Tests.Fuzz;

/// <summary>A test that runs where DHO2_FUZZ says how many mutants it is to make: <c>DHO2_FUZZ=20000 dotnet test</c>.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class FuzzFactAttribute : FactAttribute
{
    /// <summary>The environment variable that holds the number of mutants.</summary>
    public const string Variable = "DHO2_FUZZ";

    public FuzzFactAttribute()
    {
        if (string.IsNullOrEmpty(Environment.GetEnvironmentVariable(Variable)))
        {
            Skip = $"Set {Variable} to the number of mutants.";
        }
    }
}
