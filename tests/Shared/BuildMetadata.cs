using System.IO;
using System.Linq;
using System.Reflection;

namespace Dho2.Tests.Shared;

/// <summary>What the build of a test project wrote down for its tests.</summary>
internal static class BuildMetadata
{
    /// <summary>A file or folder of the repository by its relative path.</summary>
    public static string RepositoryPath(string path) => Path.Combine(Get("RepositoryRoot"), path);

    public static string Get(string key) => typeof(BuildMetadata).Assembly
        .GetCustomAttributes<AssemblyMetadataAttribute>().Single(a => a.Key == key).Value!;
}
