namespace Dho2.Modeling.Tests;

/// <summary>Builds the source of a pipeline class: what a test does not state is right.</summary>
internal static class ModelSource
{
    /// <summary>The file that a source stands in.</summary>
    public const string Path = "/project/Net.cs";

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

    public const string Attributes = "[Pipeline(MicroBatches = 4)]\n[Input(8, Batch = 32)]\n[Target]";

    public const string Loss = "private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);";

    /// <summary>The example of the design: convolutions, pooling, flatten and two linear layers.</summary>
    public static string Mnist(int conv2 = 0, int fc = 1, int head = 1) => Net(
        layers: $$"""
                [Stage(0)] private readonly Conv2d conv1 = Conv2d(1, 32, 3, padding: 1);
                [Stage({{conv2}})] private readonly Conv2d conv2 = Conv2d(32, 64, 3, padding: 1);
                [Stage({{fc}})] private readonly Linear fc = Linear(64 * 7 * 7, 128);
                [Stage({{head}})] private readonly Linear head = Linear(128, 10);
            """,
        forward: """
                x = max_pool2d(relu(conv1.forward(x)), 2);
                    x = max_pool2d(relu(conv2.forward(x)), 2);
                    return head.forward(relu(fc.forward(x.flatten(1))));
            """,
        attributes: """
            [Pipeline(MicroBatches = 8, Schedule = Schedule.OneForwardOneBackward, Base = BaseKind.HeavyBall)]
            [Input(1, 28, 28, Batch = 256)]
            [Target(DType = DType.Int64)]
            [Device(Memory = "24 GiB")]
            [Curvature(Rank = 10, Every = 400, Alpha = 0.1, MaxScale = 3)]
            [Admm(Period = 16, Sigma = 0.1)]
            """,
        name: "MnistNet");

    /// <summary>A pipeline class.</summary>
    /// <param name="layers">The layers and other members.</param>
    /// <param name="forward">The statements of <c>forward</c>.</param>
    /// <param name="attributes">The attributes of the class.</param>
    /// <param name="parameters">The parameters of <c>forward</c>.</param>
    /// <param name="result">The result type of <c>forward</c>.</param>
    /// <param name="loss">The loss.</param>
    /// <param name="name">The name of the class.</param>
    /// <param name="header">The declaration of the class; by default it derives from the fitting <c>Module</c>.</param>
    /// <param name="after">What follows the class.</param>
    public static string Net(
        string layers,
        string forward,
        string attributes = Attributes,
        string parameters = "Tensor x",
        string result = "Tensor",
        string loss = Loss,
        string name = "Net",
        string? header = null,
        string after = "") =>
        $$"""
        {{Usings}}

        namespace Samples;

        {{attributes}}
        {{header ?? $"public partial class {name} : Module<{Types(parameters)}, {result}>"}}
        {
        {{layers}}

            public override {{result}} forward({{parameters}})
            {
            {{forward}}
            }

            {{loss}}
        }

        {{after}}
        """;

    private static string Types(string parameters) =>
        string.Join(", ", System.Linq.Enumerable.Select(parameters.Split(", "), p => p[..p.LastIndexOf(' ')]));
}
