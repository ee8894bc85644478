using System;
using System.IO;
using Dho2.Checkpoints.Tests;
using Dho2.Tests.Shared;

namespace Dho2.Cli.Tests;

/// <summary>A project of its own, with one model that the tests write; it references assemblies alone, and no package.</summary>
public sealed class PlannedProject : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public PlannedProject()
    {
        string planning = BuildMetadata.RepositoryPath($"src/Dho2.Planning/bin/{BuildMetadata.Get("Configuration")}/netstandard2.0/Dho2.Planning.dll");
        File.WriteAllText(folder.File("Model.csproj"), $"""
            <Project Sdk="Microsoft.NET.Sdk">
              <PropertyGroup>
                <TargetFramework>net10.0</TargetFramework>
                <Nullable>enable</Nullable>
              </PropertyGroup>
              <ItemGroup>
                <Reference Include="{BuildMetadata.Get("TorchSharp")}" />
                <Reference Include="{planning}" />
              </ItemGroup>
            </Project>
            """);
    }

    public string Folder => folder.Path;

    public void Dispose() => folder.Dispose();

    public string PathOf(string name) => folder.File(name);

    /// <summary>Writes the project's only source.</summary>
    /// <param name="attributes">Attributes of the class beside <c>[Pipeline]</c>, <c>[Input]</c> and <c>[Target]</c>.</param>
    /// <param name="body">Members of the class beside <c>Loss</c>.</param>
    public void Write(string attributes, string body) => File.WriteAllText(folder.File("Net.cs"), $$"""
        using Dho2;
        using TorchSharp;
        using TorchSharp.Modules;
        using static TorchSharp.torch;
        using static TorchSharp.torch.nn;
        using static TorchSharp.torch.nn.functional;

        namespace Models;

        [Pipeline(MicroBatches = 4)]
        [Input(64, Batch = 32)]
        [Target(DType = DType.Int64)]
        {{attributes}}
        public partial class Net : Module<Tensor, Tensor>
        {
            {{body}}

            private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
        }
        """);
}
