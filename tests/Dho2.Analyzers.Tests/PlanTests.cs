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
