namespace Dho2.Generators;

/// <summary>The names of the incremental steps, for tests that watch what is computed anew.</summary>
public static class TrackingNames
{
    /// <summary>What was read of a class, positions included.</summary>
    public const string Model = nameof(Model);

    /// <summary>The same without positions.</summary>
    public const string Description = nameof(Description);

    /// <summary>The plan.</summary>
    public const string Plan = nameof(Plan);

    /// <summary>What the files without copied source are printed from.</summary>
    public const string PlanFiles = nameof(PlanFiles);

    /// <summary>What the files with copied source are printed from.</summary>
    public const string StageFiles = nameof(StageFiles);

    /// <summary>What is told of module classes to other assemblies.</summary>
    public const string Modules = nameof(Modules);
}
