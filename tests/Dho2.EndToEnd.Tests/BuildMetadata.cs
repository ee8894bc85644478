using System.Linq;
using System.Reflection;

namespace Dho2.EndToEnd.Tests;

/// <summary>What the build of this project wrote down for its tests.</summary>
internal static class BuildMetadata
{
    public static string TorchSharpPackage => Get("TorchSharpPackage");

    private static string Get(string key) => typeof(BuildMetadata).Assembly
        .GetCustomAttributes<AssemblyMetadataAttribute>().Single(a => a.Key == key).Value!;
}
