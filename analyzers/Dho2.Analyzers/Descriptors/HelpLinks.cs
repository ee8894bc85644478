namespace Dho2.Analyzers;

/// <summary>The addresses of the documentation pages of diagnostics.</summary>
public static class HelpLinks
{
    /// <summary>The folder of the pages.</summary>
    public const string Folder = "https://github.com/dho2dsl/dho2dsl/blob/main/docs/diagnostics/";

    internal static string Of(string id) => Folder + id + ".md";
}
