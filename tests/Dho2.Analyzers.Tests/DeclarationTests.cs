using System.Threading.Tasks;
using static Dho2.Analyzers.Tests.Source;
using static Dho2.Analyzers.Tests.Verifier;

namespace Dho2.Analyzers.Tests;

/// <summary>Diagnostics of the class, its attributes and its layers.</summary>
public class DeclarationTests
{
    [Fact]
    public Task A_complete_class_gives_nothing() => VerifyAsync(Net());

    [Fact]
    public Task A_class_without_the_attribute_is_not_looked_at() =>
        VerifyAsync(Net(attributes: "", layers: "private readonly Linear first = Linear(8, 9), second = Linear(8, 4);", header: "public class Net : Module<Tensor, Tensor>"));

    [Fact]
    public Task A_class_that_is_not_partial() =>
        VerifyAsync(Net(header: "public class {|DHO1001:Net|} : Module<Tensor, Tensor>"));

    [Fact]
    public Task A_containing_type_that_is_not_partial() => VerifyAsync(
        Usings
        + """
          public static class Models
          {
              [Pipeline(MicroBatches = 8)] [Input(8)] [Target]
              public partial class {|DHO1001:Net|} : Module<Tensor, Tensor>
              {
          """
        + Layers
        + "public Net() : base(nameof(Net)) => RegisterComponents();"
        + Forward
        + Loss
        + "}}");

    [Fact]
    public Task A_partial_class_in_a_partial_class() => VerifyAsync(
        Usings + "public static partial class Models { [Pipeline(MicroBatches = 8)] [Input(8)] [Target] public partial class Net : Module<Tensor, Tensor> {"
        + Layers + "public Net() : base(nameof(Net)) => RegisterComponents();" + Forward + Loss + "}}");

    [Theory]
    [InlineData("public partial class {|DHO1002:Net|}<T> : Module<Tensor, Tensor>", "public Net() : base(\"Net\") => RegisterComponents();", "")]
    [InlineData("public abstract partial class {|DHO1002:Net|} : Module<Tensor, Tensor>", "public Net() : base(nameof(Net)) => RegisterComponents();", "")]
    [InlineData("file partial class {|DHO1002:Net|} : Module<Tensor, Tensor>", "public Net() : base(nameof(Net)) => RegisterComponents();", "")]
    [InlineData("public partial class {|DHO1002:Net|}(string name) : Module<Tensor, Tensor>(name)", "", "")]
    [InlineData(
        "public partial class {|DHO1002:Net|} : Ancestor",
        "public Net() : base(nameof(Net)) => RegisterComponents();",
        "public abstract class Ancestor(string name) : Module<Tensor, Tensor>(name);")]
    public Task A_form_that_cannot_be_partitioned(string header, string members, string after) =>
        VerifyAsync(Net(header: header, members: members, after: after));

    [Theory]
    [InlineData("public sealed partial class Net : Module<Tensor, Tensor>")]
    [InlineData("internal partial class Net : Module<Tensor, Tensor>")]
    public Task A_plain_form(string header) => VerifyAsync(Net(header: header));

    [Fact]
    public Task More_inputs_than_parameters() =>
        VerifyAsync(Net(attributes: "[Pipeline(MicroBatches = 8)] [Input(8)] [{|DHO1004:Input(8)|}] [Target]"));

    [Fact]
    public Task An_input_for_each_parameter() => VerifyAsync(Net(
        attributes: "[Pipeline(MicroBatches = 8)] [Input(8, Name = \"y\")] [Input(8, Name = \"x\")] [Target]",
        header: "public partial class Net : Module<Tensor, Tensor, Tensor>",
        forward: "public override Tensor forward(Tensor x, Tensor y) => second.forward(relu(first.forward(x + y)));"));

    [Fact]
    public Task No_loss() => VerifyAsync(Net(loss: "", header: "public partial class {|DHO1005:Net|} : Module<Tensor, Tensor>"));

    [Theory]
    [InlineData("private Tensor {|DHO1005:Loss|}(Tensor logits, Tensor labels) => cross_entropy(logits, labels);")]
    [InlineData("private static float {|DHO1005:Loss|}(Tensor logits, Tensor labels) => cross_entropy(logits, labels).item<float>();")]
    [InlineData("private static Tensor {|DHO1005:Loss|}() => zeros(1);")]
    public Task A_loss_that_training_cannot_call(string loss) => VerifyAsync(Net(loss: loss));

    [Fact]
    public Task A_target_without_shape() => VerifyAsync(Net(
        attributes: "[Pipeline(MicroBatches = 8)] [Input(8)]",
        loss: "private static Tensor Loss(Tensor logits, {|DHO1008:Tensor labels|}) => cross_entropy(logits, labels);"));

    [Theory]
    [InlineData("Pipeline(MicroBatches = {|DHO1006:0|})")]
    [InlineData("Pipeline(MicroBatches = 8, Replicas = {|DHO1006:-1|})")]
    [InlineData("Pipeline(MicroBatches = 8, DType = {|DHO1006:DType.Float16|})")]
    [InlineData("Pipeline(MicroBatches = 8), Curvature(Rank = {|DHO1006:-2|})")]
    [InlineData("Pipeline(MicroBatches = 8), Curvature(Every = {|DHO1006:0|})")]
    [InlineData("Pipeline(MicroBatches = 8), Admm(Period = {|DHO1006:0|})")]
    [InlineData("Pipeline(MicroBatches = 8), Admm(Sigma = {|DHO1006:0|})")]
    [InlineData("Pipeline(MicroBatches = 8), Admm(Relaxation = {|DHO1006:2.5|})")]
    [InlineData("Pipeline(MicroBatches = 8), Device(Memory = {|DHO1006:\"24 gigabytes\"|})")]
    public Task A_value_out_of_range(string attributes) => VerifyAsync(Net(attributes: $"[{attributes}] [Input(8)] [Target]"));

    [Theory]
    [InlineData("Pipeline(MicroBatches = 64, Replicas = 1)")]
    [InlineData("Pipeline(MicroBatches = 8, DType = DType.BFloat16)")]
    [InlineData("Pipeline(MicroBatches = 8), Curvature(Rank = 0)")]
    [InlineData("Pipeline(MicroBatches = 8), Curvature(Every = 1, Warmup = 0)")]
    [InlineData("Pipeline(MicroBatches = 8), Admm(Period = 1, Sigma = 1e-9, Relaxation = 1.3)")]
    [InlineData("Pipeline(MicroBatches = 8), Device(Memory = \"24 GiB\")")]
    public Task A_value_at_the_end_of_its_range(string attributes) => VerifyAsync(Net(attributes: $"[{attributes}] [Input(8)] [Target]"));

    [Fact]
    public Task A_rank_of_a_layer_out_of_range() => VerifyAsync(Net(layers:
        """
        [Stage(0), CurvatureRank(-1)] private readonly Linear {|DHO1006:first|} = Linear(8, 8);
        [Stage(0), CurvatureRank(0)] private readonly Linear second = Linear(8, 4);
        """));

    [Fact]
    public Task A_layer_that_a_stage_cannot_create() => VerifyAsync(Net(
        layers: """
                [Stage(0)] private readonly Linear {|DHO1007:first|};
                [Stage(1)] private readonly Linear second = Linear(8, 4);
                """,
        members: """
                 public Net() : base(nameof(Net))
                 {
                     if (System.Environment.ProcessorCount > 8)
                     {
                         first = Linear(8, 8);
                     }
                     else
                     {
                         first = Linear(8, 8, false);
                     }

                     RegisterComponents();
                 }
                 """));

    [Theory]
    [InlineData("[Stage(0), Stage(1, From = 2)] private readonly ModuleList<Linear> {|DHO1203:first|} = ModuleList(Linear(8, 8), Linear(8, 8));")]
    [InlineData("[Stage(0), Stage(1, From = -1)] private readonly ModuleList<Linear> {|DHO1203:first|} = ModuleList(Linear(8, 8), Linear(8, 8));")]
    [InlineData("[Stage(0), Stage(1, From = 1)] private readonly ModuleList<Linear> first = ModuleList(Linear(8, 8), Linear(8, 8));")]
    public Task Stages_of_a_list(string list) => VerifyAsync(Net(
        layers: list + "[Stage(1)] private readonly Linear second = Linear(8, 4);",
        forward: "public override Tensor forward(Tensor x) { foreach (var layer in first) { x = layer.forward(x); } return second.forward(x); }"));

    [Fact]
    public Task A_list_whose_elements_have_no_stage_is_reported_once() => VerifyAsync(Net(
        layers: "private readonly ModuleList<Linear> {|DHO1101:first|} = ModuleList(Linear(8, 8), Linear(8, 8)); [Stage(0)] private readonly Linear second = Linear(8, 4);",
        forward: "public override Tensor forward(Tensor x) { foreach (var layer in first) { x = layer.forward(x); } return second.forward(x); }"));

    [Fact]
    public Task A_layer_that_the_constructor_assigns() => VerifyAsync(Net(
        layers: """
                [Stage(0)] private readonly Linear first;
                [Stage(1)] private readonly Linear second = Linear(8, 4);
                """,
        members: """
                 public Net() : base(nameof(Net))
                 {
                     first = Linear(8, 8);
                     RegisterComponents();
                 }
                 """));

    [Fact]
    public Task An_input_without_shape() => VerifyAsync(Net(
        attributes: "[Pipeline(MicroBatches = 8)] [Target]",
        forward: "public override Tensor forward({|DHO1008:Tensor x|}) => second.forward(relu(first.forward(x)));"));

    [Fact]
    public Task No_layers() => VerifyAsync(Net(
        layers: "",
        forward: "public override Tensor forward(Tensor x) => x;",
        header: "public partial class {|DHO1009:Net|} : Module<Tensor, Tensor>"));
}
