namespace Dho2.Analyzers.Tests;

/// <summary>Builds the source of a small pipeline class: what a test does not state is right.</summary>
internal static class Source
{
    public const string Usings =
        """
        using System;
        using System.Collections.Generic;
        using System.Linq;
        using Dho2;
        using TorchSharp;
        using TorchSharp.Modules;
        using static TorchSharp.torch;
        using static TorchSharp.torch.nn;
        using static TorchSharp.torch.nn.functional;

        """;

    public const string Layers =
        """
        [Stage(0)] private readonly Linear first = Linear(8, 8);
        [Stage(1)] private readonly Linear second = Linear(8, 4);
        """;

    public const string Forward = "public override Tensor forward(Tensor x) => second.forward(relu(first.forward(x)));";

    public const string Loss = "private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);";

    public static string Net(
        string attributes = "[Pipeline(MicroBatches = 8)] [Input(8)] [Target]",
        string layers = Layers,
        string forward = Forward,
        string loss = Loss,
        string members = "public Net() : base(nameof(Net)) => RegisterComponents();",
        string header = "public partial class Net : Module<Tensor, Tensor>",
        string after = "") =>
        $$"""
        {{Usings}}
        {{attributes}}
        {{header}}
        {
            {{layers}}

            {{members}}

            {{forward}}

            {{loss}}
        }

        {{after}}
        """;
}
