using Dho2.Planning;
using Microsoft.CodeAnalysis.Diagnostics;

namespace Dho2.Modeling;

/// <summary>
/// The device that a project states for all its pipelines, by the MSBuild properties <c>Dho2Device</c> (a name of the table) and
/// <c>Dho2DeviceMemory</c> (such as <c>24 GiB</c>): it holds where a class has no <c>[Device]</c> of its own.
/// </summary>
/// <param name="Name">The name; null where none of the table is stated.</param>
/// <param name="Memory">Bytes; null where not stated.</param>
public sealed record ProjectDevice(string? Name, long? Memory)
{
    /// <summary>Reads the properties.</summary>
    /// <param name="options">The compilation's global options.</param>
    public static ProjectDevice Read(AnalyzerConfigOptions options)
    {
        DeviceProfile? profile = options.TryGetValue("build_property.Dho2Device", out string? name) ? DeviceProfile.Find(name) : null;
        long? memory = options.TryGetValue("build_property.Dho2DeviceMemory", out string? text) ? MemorySize.Parse(text) : null;
        return new(profile?.Name, memory ?? profile?.MemoryBytes);
    }

    /// <summary>The model with the project's device where it states none.</summary>
    public ModelDescription ApplyTo(ModelDescription model) =>
        model.Options is { DeviceMemory: null, DeviceName: null } && (Name is not null || Memory is not null)
            ? model with { Options = model.Options with { DeviceMemory = Memory, DeviceName = Name } }
            : model;
}
