using System.Threading.Tasks;
using static Dho2.Analyzers.Tests.Source;
using static Dho2.Analyzers.Tests.Verifier;

namespace Dho2.Analyzers.Tests;

/// <summary>Diagnostics of the numbers of a plan.</summary>
public class PlanTests
{
    [Fact]
    public Task Fewer_micro_batches_than_stages() =>
        VerifyAsync(Net(attributes: "[Pipeline(MicroBatches = {|DHO1301:1|})] [Input(8)] [Target]"));

    [Fact]
    public Task As_many_micro_batches_as_stages() => VerifyAsync(Net(attributes: "[Pipeline(MicroBatches = 2)] [Input(8)] [Target]"));

    [Fact]
    public Task Fewer_samples_than_micro_batches() =>
        VerifyAsync(Net(attributes: "[Pipeline(MicroBatches = 8)] [Input(8, Batch = {|DHO1302:4|})] [Target]"));

    [Fact]
    public Task As_many_samples_as_micro_batches() => VerifyAsync(Net(attributes: "[Pipeline(MicroBatches = 8)] [Input(8, Batch = 8)] [Target]"));

    [Fact]
    public Task High_over_relaxation() =>
        VerifyAsync(Net(attributes: "[Pipeline(MicroBatches = 8)] [Input(8)] [Target] [Admm(Relaxation = {|DHO1601:1.6|})]"));

    [Theory]
    [InlineData("StagesPerRank = {|DHO1006:3|}")]
    [InlineData("StagesPerRank = {|DHO1006:1|}")]
    [InlineData("StagesPerRank = 2")]
    public Task Stages_of_a_rank(string property) =>
        VerifyAsync(Net(attributes: $"[Pipeline(MicroBatches = 8, Schedule = Schedule.Interleaved, {property})] [Input(8)] [Target]"));

    [Fact]
    public Task Several_stages_of_a_rank_without_interleaving() =>
        VerifyAsync(Net(attributes: "[Pipeline(MicroBatches = 8, StagesPerRank = {|DHO1006:2|})] [Input(8)] [Target]"));

    [Theory]
    [InlineData("Order = {|DHO1006:9|}")]
    [InlineData("Order = {|DHO1504:19|}")]
    [InlineData("Order = 20")]
    public Task An_order_of_estimates(string property) =>
        VerifyAsync(Net(attributes: $"[Pipeline(MicroBatches = 8)] [Input(8)] [Target] [Curvature(Rank = 10, {property})]"));

    [Fact]
    public Task An_operation_before_the_first_stage_with_curvature_needs_no_second_derivative() => VerifyAsync(Net(
        attributes: "[Pipeline(MicroBatches = 8)] [Input(8)] [Target] [Curvature(Rank = 0, Scope = CurvatureScope.Stage)]",
        layers: "[Stage(0)] private readonly Linear first = Linear(8, 8); [Stage(1), CurvatureRank(2)] private readonly Linear second = Linear(8, 4);",
        forward:
        """
        public override Tensor forward(Tensor x)
            {
                var d = first.forward(cdist(x, x).narrow(1, 0, 8));
                return second.forward(d);
            }
        """));

    [Fact]
    public Task Batch_statistics_of_the_whole_batch() => VerifyAsync(Net(
        attributes: "[Pipeline(MicroBatches = 1)] [Input(8)] [Target]",
        layers: "[Stage(0)] private readonly Linear first = Linear(8, 8); [Stage(0)] private readonly BatchNorm1d second = BatchNorm1d(8);"));

    [Theory]
    [InlineData("DecoupledWeightDecay = 0")]
    [InlineData("L2Penalty = 0.1")]
    public Task Decay_that_the_curvature_sees(string property) => VerifyAsync(
        $"using Dho2; public static class Options {{ public static TrainingOptions Create() => new() {{ {property} }}; }}");

    [Fact]
    public Task A_layer_s_rank_without_a_stated_scope() => VerifyAsync(Net(layers:
        """
        [Stage(0)] private readonly Linear first = Linear(8, 8);
        [Stage(1), CurvatureRank(2)] private readonly Linear {|DHO1501:second|} = Linear(8, 4);
        """));

    [Theory]
    [InlineData("Stage")]
    [InlineData("Global")]
    public Task A_layer_s_rank_with_a_stated_scope(string scope) => VerifyAsync(Net(
        attributes: $"[Pipeline(MicroBatches = 8)] [Input(8)] [Target] [Curvature(Scope = CurvatureScope.{scope})]",
        layers: $"[Stage(0)] private readonly Linear first = Linear(8, 8); [Stage(1), CurvatureRank(2)] private readonly Linear second = Linear(8, 4);"));

    [Fact]
    public Task A_layer_s_rank_on_the_only_stage() => VerifyAsync(Net(
        layers: "[Stage(0), CurvatureRank(2)] private readonly Linear first = Linear(8, 8); [Stage(0)] private readonly Linear second = Linear(8, 4);"));
}
