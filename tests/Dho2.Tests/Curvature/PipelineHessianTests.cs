using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Communication;
using Dho2.Curvature;
using Dho2.Pipelines;
using Dho2.Planning;
using Dho2.Tests.Communication;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Tests.Curvature;

/// <summary>Products across stages against a double backward of the same function in one piece, in float64.</summary>
public class PipelineHessianTests
{
    private const long Seed = 11;
    private static readonly int[] Sizes = [3, 4, 2];

    public static TheoryData<string, int, bool> Cases
    {
        get
        {
            TheoryData<string, int, bool> cases = [];
            foreach (string name in HandModels.All.Keys)
            {
                for (int stages = 1; stages <= 4; stages++)
                {
                    cases.Add(name, stages, true);
                    if (name == "cnn, batch norm")
                    {
                        cases.Add(name, stages, false);
                    }
                }
            }

            cases.Add("gelu, layer norm, dropout", 2, false);
            return cases;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Products_equal_a_double_backward_of_the_unsplit_function(string name, int stages, bool training)
    {
        HandModel model = HandModels.All[name];
        using Reference reference = new(model, training);
        double[] direction = reference.RandomDirection();
        double[] expected = reference.Multiply(direction);
        PipelineHessianSettings settings = new() { TrainingMode = training };
        double[] actual = Sharded(model, stages, settings, reference, hessian => hessian.Apply(direction));
        CompareVectors(expected, actual, 1e-12);
    }

    [Theory]
    [MemberData(nameof(ThirdDerivativeModels.Cases), MemberType = typeof(ThirdDerivativeModels))]
    public void Tangents_are_reused_where_third_derivatives_are_right(string name, int stages)
    {
        HandModel model = ThirdDerivativeModels.All[name];
        using Reference reference = new(model, true);
        double[] direction = reference.RandomDirection();
        double[] actual = Sharded(
            model, stages, new PipelineHessianSettings { ReuseTangents = true }, reference, hessian =>
            {
                hessian.Apply(reference.RandomDirection());
                return hessian.Apply(direction);
            });
        CompareVectors(reference.Multiply(direction), actual, 1e-12);
    }

    [Theory]
    [InlineData("mlp", 2, 2)]
    [InlineData("skips", 2, 2)]
    [InlineData("skips", 1, 3)]
    [InlineData("gelu, layer norm, dropout", 1, 2)]
    [InlineData("cnn, batch norm", 2, 2)]
    [InlineData("residual, group norm", 1, 4)]
    public void Ranks_may_hold_several_stages(string name, int ranks, int stagesPerRank)
    {
        HandModel model = HandModels.All[name];
        using Reference reference = new(model, true);
        double[] direction = reference.RandomDirection();
        double[] expected = reference.Multiply(direction);
        foreach (bool? retain in new bool?[] { true, false })
        {
            PipelineHessianSettings settings = new() { RetainGraphs = retain };
            Ranks.Run(ranks, pipeline =>
            {
                using ShardedHessian hessian = new(model, ranks == 1 ? null : pipeline, settings, reference.Fixed, reference, stagesPerRank);
                for (int product = 0; product < 2; product++)
                {
                    CompareVectors(hessian.PartOf(expected), hessian.Apply(direction), 1e-12);
                }
            });
        }

        PipelineHessianSettings gaussNewton = new() { Matrix = CurvatureMatrix.GaussNewton };
        if (name == "skips")
        {
            expected = reference.MultiplyGaussNewton(direction);
            Ranks.Run(ranks, pipeline =>
            {
                using ShardedHessian hessian = new(model, ranks == 1 ? null : pipeline, gaussNewton, reference.Fixed, reference, stagesPerRank);
                CompareVectors(hessian.PartOf(expected), hessian.Apply(direction), 1e-12);
            });
        }
    }

    [Theory]
    [InlineData("mlp", 4)]
    [InlineData("skips", 3)]
    [InlineData("skips", 4)]
    [InlineData("ties", 4)]
    [InlineData("residual, group norm", 4)]
    public void Reused_tangents_change_nothing_but_the_last_bits(string name, int stages)
    {
        HandModel model = HandModels.All[name];
        using Reference reference = new(model, true);
        double[] direction = reference.RandomDirection();
        foreach (bool retain in new[] { true, false })
        {
            double[] actual = Sharded(
                model, stages, new PipelineHessianSettings { ReuseTangents = true, RetainGraphs = retain }, reference, hessian => hessian.Apply(direction));
            CompareVectors(reference.Multiply(direction), actual, 1e-12);
        }
    }

    [Fact]
    public void Normalisation_has_no_third_derivatives_and_is_not_listed()
    {
        // If this ever fails, libtorch has become right, and the list may grow.
        HandModel model = HandModels.All["cnn, batch norm"];
        using Reference reference = new(model, true);
        double[] direction = reference.RandomDirection();
        double[] wrong = Sharded(model, 2, new PipelineHessianSettings { ReuseTangents = true }, reference, hessian => hessian.Apply(direction));
        double[] right = reference.Multiply(direction);
        Assert.True(Math.Sqrt(right.Zip(wrong, (a, b) => (a - b) * (a - b)).Sum()) > 1e-3 * Math.Sqrt(right.Sum(v => v * v)));
        Assert.DoesNotContain("BatchNorm2d", ThirdDerivatives.Names);
        Assert.DoesNotContain("LayerNorm", ThirdDerivatives.Names);
    }

    [Fact]
    public void All_that_is_listed_is_tested() =>
        Assert.Equal(ThirdDerivatives.Names.Distinct().Order(), ThirdDerivativeModels.Tested.Distinct().Order());

    [Fact]
    public void The_double_backward_agrees_with_differences_of_gradients()
    {
        using Reference reference = new(HandModels.All["skips"], true);
        double[] direction = reference.RandomDirection();
        CompareVectors(reference.Difference(direction, 1e-5), reference.Multiply(direction), 1e-7);
    }

    [Theory]
    [InlineData("skips")]
    [InlineData("gelu, layer norm, dropout")]
    [InlineData("cnn, batch norm")]
    [InlineData("ties")]
    public void Rebuilding_the_graphs_for_every_product_changes_nothing(string name)
    {
        HandModel model = HandModels.All[name];
        using Reference reference = new(model, true);
        double[] direction = reference.RandomDirection();
        double[] Twice(ShardedHessian hessian)
        {
            hessian.Apply(reference.RandomDirection());
            return hessian.Apply(direction);
        }

        double[] retained = Sharded(model, 3, new PipelineHessianSettings(), reference, Twice);
        double[] rebuilt = Sharded(model, 3, new PipelineHessianSettings { RetainGraphs = false }, reference, Twice);
        Assert.Equal(retained, rebuilt);
    }

    [Theory]
    [InlineData("skips", true)]
    [InlineData("skips", false)]
    [InlineData("ties", true)]
    public void A_block_needs_no_sweeps_below_its_stage(string name, bool retain)
    {
        HandModel model = HandModels.All[name];
        using Reference reference = new(model, true);
        for (int first = 0; first < 4; first++)
        {
            double[] direction = reference.RandomDirection();
            int start = reference.OffsetOf(model.FirstBlock(first, 4));
            Array.Clear(direction, 0, start);
            if (start == direction.Length)
            {
                // The last stage of tied layers has no parameters of its own.
                continue;
            }

            double[] expected = reference.Multiply(direction)[start..];
            double[] actual = Sharded(
                model, 4, new PipelineHessianSettings { RetainGraphs = retain }, reference, hessian => hessian.Apply(direction, first));
            CompareVectors(expected, actual[start..], 1e-12);
        }
    }

    [Fact]
    public void Training_that_goes_on_does_not_reach_the_products()
    {
        HandModel model = HandModels.All["cnn, batch norm"];
        using Reference reference = new(model, true);
        double[] direction = reference.RandomDirection();
        Sharded(model, 2, new PipelineHessianSettings(), reference, hessian =>
        {
            double[] before = hessian.Apply(direction);
            using (no_grad())
            {
                hessian.Training.Values.add_(0.5);
                foreach ((_, Tensor buffer) in hessian.Training.Buffers)
                {
                    buffer.add_(3);
                }
            }

            Assert.Equal(before, hessian.Apply(direction));
            hessian.Begin();
            Assert.NotEqual(before, hessian.Apply(direction));
            return before;
        });
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void Gauss_Newton_is_the_losses_curvature_between_two_linearisations(int stages)
    {
        HandModel model = HandModels.All["skips"];
        using Reference reference = new(model, true);
        double[] direction = reference.RandomDirection();
        double[] actual = Sharded(
            model, stages, new PipelineHessianSettings { Matrix = CurvatureMatrix.GaussNewton }, reference, hessian => hessian.Apply(direction));
        CompareVectors(reference.MultiplyGaussNewton(direction), actual, 1e-12);
    }

    [Fact]
    public void Replicas_share_one_mean()
    {
        HandModel model = HandModels.All["mlp"];
        using Reference reference = new(model, true);
        double[] direction = reference.RandomDirection();
        double[] expected = reference.Multiply(direction);
        int[][] shares = [[3, 4], [2]];
        Ranks.Run(2, replicas =>
        {
            int[] sizes = shares[replicas.Rank];
            int start = replicas.Rank == 0 ? 0 : 7;
            using ShardedHessian hessian = new(model, null, new PipelineHessianSettings(), batch => new CurvatureBatch(
                batch with { Inputs = Batch.Narrow(batch.Inputs, start, sizes.Sum()), Targets = Batch.Narrow(batch.Targets, start, sizes.Sum()) },
                sizes, 4, 9, replicas.Rank == 0 ? 0 : 2, replicas), reference);
            CompareVectors(expected, hessian.Apply(direction), 1e-12);
        });
    }

    [Fact]
    public void Products_leave_nothing_behind()
    {
        HandModel model = HandModels.All["mlp"];
        using Reference reference = new(model, true);
        double[] direction = reference.RandomDirection();
        using ShardedHessian hessian = new(model, null, new PipelineHessianSettings(), reference.Fixed, reference);
        hessian.Apply(direction);
        LiveTensors.Settle();
        long before = LiveTensors.Count;
        for (int i = 0; i < 5; i++)
        {
            hessian.Apply(direction);
        }

        Assert.Equal(before, LiveTensors.Count);
        hessian.Begin();
        hessian.Apply(direction);
        Assert.Equal(before, LiveTensors.Count);
    }

    [Fact]
    public void A_layer_without_a_second_derivative_is_an_exception()
    {
        HandModel model = new()
        {
            Blocks =
            [
                c =>
                {
                    TorchSharp.Modules.EmbeddingBag bag = c.Create("bag", () => nn.EmbeddingBag(5, 3));
                    return new Block([new StageLayer("bag", bag)], x => [bag.forward(x[0], null, null).tanh()]);
                },
            ],
            Live = [],
            Inputs = n => [randint(0, 5, [n, 2], int64)],
            Targets = n => [randint(0, 3, n, int64)],
            Loss = (results, targets) => nn.functional.cross_entropy(results[0], targets[0]),
        };
        using Reference reference = new(model, true);
        CurvatureException error = Assert.Throws<CurvatureException>(() =>
        {
            using ShardedHessian hessian = new(model, null, new PipelineHessianSettings(), reference.Fixed, reference);
            hessian.Apply(new double[15]);
        });
        Assert.Equal(0, error.Stage);
    }

    private static void CompareVectors(double[] expected, double[] actual, double tolerance)
    {
        Assert.Equal(expected.Length, actual.Length);
        double difference = Math.Sqrt(expected.Zip(actual, (a, b) => (a - b) * (a - b)).Sum());
        double norm = Math.Sqrt(expected.Sum(v => v * v));
        Assert.True(norm > 1e-6, $"The expected product is nearly 0 ({norm:E1}), which proves nothing.");
        Assert.True(difference <= tolerance * norm, $"Off by {difference / norm:E2} of its norm, allowed {tolerance:E1}.");
    }

    private static double[] Sharded(
        HandModel model, int stages, PipelineHessianSettings settings, Reference reference, Func<ShardedHessian, double[]> use)
    {
        double[][] parts = new double[stages][];
        Ranks.Run(stages, pipeline =>
        {
            using ShardedHessian hessian = new(model, pipeline, settings, reference.Fixed, reference);
            parts[pipeline.Rank] = use(hessian);
        });
        return [.. parts.SelectMany(part => part)];
    }

    /// <summary>One rank: a training stage, and the operator on its twin.</summary>
    private sealed class ShardedHessian : IDisposable
    {
        private readonly IPipelineStage[] stages;
        private readonly PipelineHessian hessian;
        private readonly CurvatureBatch batch;
        private readonly (int Start, int End)[] parts;

        public ShardedHessian(
            HandModel model, ICommunicator? pipeline, PipelineHessianSettings settings, Func<Batch, CurvatureBatch> batch, Reference reference, int stagesPerRank = 1)
        {
            StageLayout layout = new(pipeline?.Size ?? 1, stagesPerRank);
            int count = layout.Stages;
            IReadOnlyList<int> own = layout.StagesOf(pipeline?.Rank ?? 0);
            StageContext trained = Context();
            stages = [.. own.Select(stage => model.Stage(trained, stage, count))];
            Training = new FlatParameters([.. stages.SelectMany(stage => stage.Layers)], ScalarType.Float64, CPU, [.. stages.SelectMany(stage => stage.Mirrors)]);
            StageContext context = Context();
            hessian = new PipelineHessian(
                [.. own.Select(stage => model.Stage(context, stage, count))], context, pipeline, model.Cuts(count), model.Loss, settings, model.Ties(count));
            this.batch = batch(reference.Batch);
            parts = [.. own.Select(stage => (reference.OffsetOf(model.FirstBlock(stage, count)), reference.OffsetOf(model.FirstBlock(stage + 1, count))))];
            Begin();
        }

        public FlatParameters Training { get; }

        public void Begin() => hessian.Begin(Training, batch);

        public double[] PartOf(double[] vector) => [.. parts.SelectMany(part => vector[part.Start..part.End])];

        public double[] Apply(double[] direction, int first = 0)
        {
            using Tensor v = tensor(PartOf(direction));
            using Tensor product = full_like(v, double.NaN);
            hessian.Multiply(v, product, first);
            return product.data<double>().ToArray();
        }

        public void Dispose()
        {
            hessian.Dispose();
            Array.ForEach(stages, stage => stage.Dispose());
            Training.Dispose();
        }
    }

    private static StageContext Context() => new(Seed) { DType = ScalarType.Float64 };

    /// <summary>The model in one piece, with the same weights and masks.</summary>
    private sealed class Reference : IDisposable
    {
        private readonly HandModel model;
        private readonly bool training;
        private readonly StageContext context = Context();
        private readonly Block[] blocks;
        private readonly Tensor[] parameters;
        private readonly int[] counts;
        private int draws;

        public Reference(HandModel model, bool training)
        {
            this.model = model;
            this.training = training;
            blocks = [.. model.Blocks.Select(create => create(context))];
            parameters = [.. blocks.SelectMany(block => block.Layers).SelectMany(Parameters).DistinctBy(TensorIdentity.Of)];
            HashSet<(IntPtr, long)> seen = [];
            counts = [.. blocks.Select(block => (int)block.Layers.SelectMany(Parameters).Where(p => seen.Add(TensorIdentity.Of(p))).Sum(p => p.numel()))];
            foreach (StageLayer layer in blocks.SelectMany(block => block.Layers))
            {
                layer.Module?.train(training);
            }

            random.manual_seed(5);
            Batch = new Batch(model.Inputs(Sizes.Sum()), model.Targets(Sizes.Sum()));
        }

        public Batch Batch { get; }

        public int OffsetOf(int block) => counts[..block].Sum();

        public CurvatureBatch Fixed(Batch batch) => new(batch, Sizes, 4, Sizes.Sum());

        public double[] RandomDirection()
        {
            Random random = new(draws++);
            return [.. Enumerable.Range(0, counts.Sum()).Select(_ => random.NextDouble() - 0.5)];
        }

        public double[] Multiply(double[] direction)
        {
            using DisposeScope scope = NewDisposeScope();
            using MathAttention attention = new();
            IList<Tensor> gradient = autograd.grad([Loss()], parameters, null, true, true);
            Tensor inner = zeros(1, float64);
            foreach ((Tensor g, Tensor v) in gradient.Zip(Split(direction)))
            {
                inner = inner + (g * v).sum();
            }

            IList<Tensor> product = autograd.grad([inner], parameters, null, true, false, true);
            return Join([.. product.Select((p, i) => p.IsInvalid ? zeros_like(parameters[i]) : p)]);
        }

        public double[] MultiplyGaussNewton(double[] direction)
        {
            using DisposeScope scope = NewDisposeScope();
            double[] sum = new double[direction.Length];
            foreach ((int start, int size, int index) in MicroBatches())
            {
                Tensor results = Results(start, size, index)[0];
                Tensor jacobian = Jacobian(results);
                Tensor leaf = results.detach().requires_grad_();
                Tensor loss = model.Loss([leaf], Batch.Narrow(Batch.Targets, start, size)) * ((double)size / Sizes.Sum());
                Tensor slope = autograd.grad([loss], [leaf], null, true, true)[0].flatten();
                Tensor tangent = jacobian.mv(tensor(direction)).view_as(leaf);
                Tensor adjoint = autograd.grad([(slope * tangent.flatten()).sum()], [leaf], null, true)[0].flatten();
                double[] part = jacobian.t().mv(adjoint).data<double>().ToArray();
                sum = [.. sum.Zip(part, (a, b) => a + b)];
            }

            return sum;
        }

        public double[] Difference(double[] direction, double step)
        {
            double[] forward = GradientAt(direction, step);
            double[] backward = GradientAt(direction, -step);
            return [.. forward.Zip(backward, (f, b) => (f - b) / (2 * step))];
        }

        public void Dispose()
        {
            foreach (StageLayer layer in blocks.SelectMany(block => block.Layers))
            {
                layer.Module?.Dispose();
            }
        }

        private double[] GradientAt(double[] direction, double step)
        {
            using DisposeScope scope = NewDisposeScope();
            Move(step);
            double[] gradient = Join(autograd.grad([Loss()], parameters));
            Move(-step);
            return gradient;

            void Move(double by)
            {
                using IDisposable noGrad = no_grad();
                foreach ((Tensor parameter, Tensor v) in parameters.Zip(Split(direction)))
                {
                    parameter.add_(v, by);
                }
            }
        }

        private Tensor Loss()
        {
            Tensor sum = zeros([], float64);
            foreach ((int start, int size, int index) in MicroBatches())
            {
                sum = sum + (model.Loss(Results(start, size, index), Batch.Narrow(Batch.Targets, start, size)) * ((double)size / Sizes.Sum()));
            }

            return sum;
        }

        private Tensor[] Results(int start, int size, int index)
        {
            context.Position.MoveTo(4, index);
            Tensor[] live = Batch.Narrow(Batch.Inputs, start, size);
            return blocks.Aggregate(live, (values, block) => block.Forward(values));
        }

        private Tensor Jacobian(Tensor results)
        {
            Tensor flat = results.flatten();
            return stack([.. Enumerable.Range(0, (int)flat.numel()).Select(i =>
                tensor(Join(autograd.grad([flat[i]], parameters, null, true))))]);
        }

        private static IEnumerable<(int Start, int Size, int Index)> MicroBatches() =>
            Sizes.Select((size, i) => (Sizes[..i].Sum(), size, i));

        private List<Tensor> Split(double[] flat)
        {
            List<Tensor> result = [];
            int offset = 0;
            foreach (Tensor parameter in parameters)
            {
                int length = (int)parameter.numel();
                result.Add(tensor(flat[offset..(offset + length)]).view(parameter.shape));
                offset += length;
            }

            return result;
        }

        private static double[] Join(IEnumerable<Tensor> tensors) =>
            [.. tensors.SelectMany(t => t.contiguous().data<double>().ToArray())];

        private static IEnumerable<Tensor> Parameters(StageLayer layer) =>
            layer.Parameter is { } parameter ? [parameter] : layer.Module!.parameters();
    }
}
