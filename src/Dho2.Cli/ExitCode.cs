namespace Dho2.Cli;

/// <summary>What the process ends with.</summary>
internal static class ExitCode
{
    /// <summary>All was done, and nothing was wrong with what was looked at.</summary>
    public const int Success = 0;

    /// <summary>What was looked at is damaged, missing or wrong; the error stream says what and why.</summary>
    public const int Failure = 1;

    /// <summary>The command line cannot be understood.</summary>
    public const int Misuse = 2;
}
