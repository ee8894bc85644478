using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Pipelines;
using Dho2.Planning;
using static TorchSharp.torch;

namespace Dho2.Tests.Pipelines;

/// <summary>
/// A small model with all that is awkward to partition: batch norm, dropout (one of them in place, one called twice), a
/// skip connection over all cuts, an integer value that travels, and a value whose consumer gives no gradient. Its four
/// segments can be spread over one to four stages; the same code with TorchSharp's own dropout is the unsplit model.
/// </summary>
internal static class BranchedModel
{
    public const int Segments = 4;
    private static readonly string[][] CutNames = [["h", "skip", "index", "side"], ["h", "skip", "index"], ["h", "skip", "index"]];
    private static readonly string[][] LayerNames = [["fc1", "norm", "drop1"], ["fc2", "drop2"], ["fc3"], ["table", "drop3", "head"]];

    /// <summary>What crosses between the stages.</summary>
    public static CutPlan[] Cuts(int stages) =>
        [.. Enumerable.Range(0, stages - 1).Select(s => new CutPlan(s, CutNames[Last(s, stages)]
            .Select(name => new CutValue(-1, name, "global::TorchSharp.torch.Tensor", null, name != "index"))
            .ToEquatableArray()))];

    public static Stage CreateStage(StageContext context, int index, int stages) => new(context, index, stages);

    /// <summary>The unsplit model with the weights that the stages have for the same seed.</summary>
    public static Unsplit CreateUnsplit(long seed, ScalarType dtype) => new(new StageContext(seed) { DType = dtype });

    public static Tensor Loss(IReadOnlyList<Tensor> results, IReadOnlyList<Tensor> targets) =>
        nn.functional.cross_entropy(results[0], targets[0]);

    public static Batch RandomBatch(int samples, ScalarType dtype, int seed = 5)
    {
        var random = new Random(seed);
        double[] values = [.. Enumerable.Range(0, samples * 6).Select(_ => (random.NextDouble() * 2) - 1)];
        long[] labels = [.. Enumerable.Range(0, samples).Select(_ => (long)random.Next(3))];

        // A tensor made from an array keeps the array's memory, whose alignment varies, and with it the last bits of products.
        return new([tensor(values).to(dtype).view(samples, 6).clone()], [tensor(labels)]);
    }

    private static int First(int stage, int stages) => stage * Segments / stages;

    private static int Last(int stage, int stages) => First(stage + 1, stages) - 1;

    private static nn.Module CreateLayer(StageContext context, string name, bool native) => name switch
    {
        "fc1" => context.Create(name, () => nn.Linear(6, 8)),
        "norm" => context.Create(name, () => nn.BatchNorm1d(8)),
        "fc2" or "fc3" => context.Create(name, () => nn.Linear(8, 8)),
        "table" => context.Create(name, () => nn.Embedding(6, 8)),
        "head" => context.Create(name, () => nn.Linear(8, 3)),
        _ when native => context.Create(name, () => nn.Dropout(0.4, inplace: name == "drop2")),
        _ => new StageDropout(context, name, 0.4, inplace: name == "drop2"),
    };

    private static void Run(int segment, Dictionary<string, Tensor> v, Func<string, Tensor, Tensor> layer)
    {
        switch (segment)
        {
            case 0:
                v["index"] = v["x"].argmax(1);
                v["skip"] = layer("norm", layer("fc1", v["x"])).relu();
                v["side"] = v["skip"] * 2;
                v["h"] = layer("drop1", layer("drop1", v["skip"]));
                break;
            case 1:
                v["h"] = layer("drop2", layer("fc2", v["h"]).tanh() + (0.1 * v["side"].detach()));
                break;
            case 2:
                v["h"] = layer("fc3", v["h"] + v["skip"]).tanh();
                break;
            default:
                v["y"] = layer("head", layer("drop3", v["h"] - v["skip"] + layer("table", v["index"])));
                break;
        }
    }

    internal sealed class Stage : IPipelineStage
    {
        private readonly Dictionary<string, nn.Module> layers;
        private readonly int stages;

        public Stage(StageContext context, int index, int stages)
        {
            Index = index;
            this.stages = stages;
            string[] names = [.. LayerNames[First(index, stages)..(Last(index, stages) + 1)].SelectMany(n => n)];
            layers = names.ToDictionary(name => name, name => CreateLayer(context, name, native: false));
            Layers = [.. names.Select(name => new StageLayer(name, layers[name]))];
        }

        public int Index { get; }

        public IReadOnlyList<StageLayer> Layers { get; }

        /// <summary>Called before each forward; may throw.</summary>
        public Action? BeforeForward { get; set; }

        public Tensor[] Forward(IReadOnlyList<Tensor> inputs)
        {
            BeforeForward?.Invoke();
            string[] names = Index == 0 ? ["x"] : CutNames[First(Index, stages) - 1];
            var values = names.Zip(inputs).ToDictionary(p => p.First, p => p.Second);
            for (int segment = First(Index, stages); segment <= Last(Index, stages); segment++)
            {
                Run(segment, values, (name, x) => ((nn.Module<Tensor, Tensor>)layers[name]).forward(x));
            }

            return Index == stages - 1 ? [values["y"]] : [.. CutNames[Last(Index, stages)].Select(name => values[name])];
        }

        public void Dispose()
        {
            foreach (nn.Module layer in layers.Values)
            {
                layer.Dispose();
            }
        }
    }

    internal sealed class Unsplit : nn.Module<Tensor, Tensor>
    {
        private readonly Dictionary<string, nn.Module> layers;

        public Unsplit(StageContext context)
            : base(nameof(Unsplit))
        {
            layers = LayerNames.SelectMany(n => n).ToDictionary(name => name, name => CreateLayer(context, name, native: true));
            foreach ((string name, nn.Module layer) in layers)
            {
                register_module(name, layer);
            }
        }

        public override Tensor forward(Tensor input)
        {
            var values = new Dictionary<string, Tensor> { ["x"] = input };
            for (int segment = 0; segment < Segments; segment++)
            {
                Run(segment, values, (name, x) => ((nn.Module<Tensor, Tensor>)layers[name]).call(x));
            }

            return values["y"];
        }
    }
}
