using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Communication;
using Dho2.Curvature;
using Dho2.Pipelines;
using Dho2.Tests.Communication;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Dho2.Tests.Curvature;

/// <summary>
/// Models whose differentiation fails, each in its own way, as a program: in the tests' own process the end of the process
/// would be the end of the tests. Not among them: an exception in a managed autograd function. TorchSharp calls those from
/// native code without catching anything, so that it ends the process from whichever call.
/// </summary>
internal static class AutogradFailures
{
    private const int Samples = 6;

    /// <summary>The first block of each model; a linear layer follows, on the same stage or on the next.</summary>
    public static IReadOnlyDictionary<string, Func<StageContext, Block>> All { get; } = new Dictionary<string, Func<StageContext, Block>>
    {
        ["no-second-derivative"] = c =>
        {
            EmbeddingBag bag = c.Create("bag", () => nn.EmbeddingBag(5, 4));
            return new Block([new StageLayer("bag", bag)], x => [bag.forward(x[0].abs().to_type(int64).remainder(5), null, null).tanh()]);
        },
        ["changed-in-place"] = c => Linear(c, x =>
        {
            // The exponential keeps its result for the backward.
            Tensor result = x.exp();
            result.mul_(2);
            return result;
        }),
        ["freed-graph"] = c => Linear(c, x =>
        {
            Tensor result = x.exp();
            result.sum().backward();
            return result * 2;
        }),
        ["forward-throws"] = c => Linear(c, x => x.view(-1, 3)),
        ["wrong-shape-from-function"] = c => Linear(c, x => GivesWrongShape.apply(x)),
    };

    /// <summary>Runs all models on one and on two stages and prints a line for what each came to.</summary>
    public static int Run()
    {
        foreach ((string name, Func<StageContext, Block> create) in All)
        {
            foreach (int stages in new[] { 1, 2 })
            {
                // A line before and one after: if the process ends, the last line says where.
                Console.WriteLine($"{name} {stages} begins");
                Console.WriteLine($"{name} {stages} {Try(create, stages)}");
            }
        }

        Console.WriteLine("all done");
        return 0;
    }

    private static string Try(Func<StageContext, Block> create, int stages)
    {
        HandModel model = new()
        {
            Blocks =
            [
                create,
                c =>
                {
                    Linear head = c.Create("head", () => nn.Linear(4, 3));
                    return new Block([new StageLayer("head", head)], x => [head.forward(x[0].tanh())]);
                },
            ],
            Live = [[true]],
            Inputs = n => [randn(n, 4, float64)],
            Targets = n => [randint(0, 3, n, int64)],
            Loss = (results, targets) => nn.functional.cross_entropy(results[0], targets[0]),
        };
        Batch batch = new(model.Inputs(Samples), model.Targets(Samples));
        Exception?[] failures = Ranks.RunAll(stages, pipeline =>
        {
            StageContext context = new(3) { DType = float64 };
            using IPipelineStage stage = model.Stage(new StageContext(3) { DType = float64 }, pipeline.Rank, stages);
            using FlatParameters training = new(stage.Layers, float64, CPU);
            using PipelineHessian hessian = new(
                model.Stage(context, pipeline.Rank, stages), context, stages == 1 ? null : pipeline, model.Cuts(stages), model.Loss);
            hessian.Begin(training, new CurvatureBatch(batch, [4, 2], 0, Samples));
            using Tensor direction = ones(hessian.LocalSize, float64);
            using Tensor product = zeros(hessian.LocalSize, float64);
            hessian.Multiply(direction, product);
        });
        return failures.OfType<CurvatureException>().FirstOrDefault(e => e.InnerException is not CommunicationException) is { } error
            ? $"stage {error.Stage} micro-batch {error.MicroBatch}: {error.Message.ReplaceLineEndings(" ")}"
            : $"no CurvatureException: {failures.FirstOrDefault(f => f is not null)?.ToString().ReplaceLineEndings(" ") ?? "nothing"}";
    }

    private static Block Linear(StageContext context, Func<Tensor, Tensor> after)
    {
        Linear layer = context.Create("a", () => nn.Linear(4, 4));
        return new Block([new StageLayer("a", layer)], x => [after(layer.forward(x[0]))]);
    }

    private sealed class GivesWrongShape : autograd.SingleTensorFunction<GivesWrongShape>
    {
        public override string Name => nameof(GivesWrongShape);

        public override Tensor forward(autograd.AutogradContext context, params object[] inputs) => ((Tensor)inputs[0]) * 2;

        public override List<Tensor> backward(autograd.AutogradContext context, Tensor gradient) => [ones(7, float64)];
    }
}
