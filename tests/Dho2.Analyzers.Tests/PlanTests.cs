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
}
