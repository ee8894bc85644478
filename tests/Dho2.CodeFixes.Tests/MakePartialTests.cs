using System.Threading.Tasks;
using Verify = Dho2.CodeFixes.Tests.FixVerifier<Dho2.CodeFixes.MakePartialCodeFix>;

namespace Dho2.CodeFixes.Tests;

public class MakePartialTests
{
    private const string Body =
        """
         : Module<Tensor, Tensor>
        {
            [Stage(0)] private readonly Linear only = Linear(8, 4);

            public override Tensor forward(Tensor x) => only.forward(x);

            private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);

            public
        """;

    private static string Class(string header, string name) =>
        $"{header}{Body} {name}() : base(nameof({name})) => RegisterComponents();\n}}\n";

    [Fact]
    public Task A_class_with_modifiers() => Verify.VerifyAsync(
        Class("// Ours.\n[Pipeline]\n[Input(8), Target]\npublic sealed class {|DHO1001:Net|}", "Net"),
        Class("// Ours.\n[Pipeline]\n[Input(8), Target]\npublic sealed partial class Net", "Net"));

    [Fact]
    public Task A_class_without_modifiers_keeps_its_comments() => Verify.VerifyAsync(
        Class("[Pipeline, Input(8), Target]\n// Ours.\nclass {|DHO1001:Net|}", "Net"),
        Class("[Pipeline, Input(8), Target]\n// Ours.\npartial class Net", "Net"));

    [Fact]
    public Task The_types_around_it_too() => Verify.VerifyAsync(
        "public static class Outer\n{\n    /* deep */ struct Inner\n    {\n"
            + Class("[Pipeline, Input(8), Target] public partial class {|DHO1001:{|DHO1001:Net|}|}", "Net") + "    }\n}\n",
        "public static partial class Outer\n{\n    /* deep */ partial struct Inner\n    {\n"
            + Class("[Pipeline, Input(8), Target] public partial class Net", "Net") + "    }\n}\n");

    [Fact]
    public Task Two_classes_in_one_type_at_once() => Verify.VerifyAsync(
        "public static class Outer\n{\n"
            + Class("[Pipeline, Input(8), Target] public partial class {|DHO1001:A|}", "A")
            + Class("[Pipeline, Input(8), Target] public class {|DHO1001:{|DHO1001:B|}|}", "B") + "}\n",
        "public static partial class Outer\n{\n"
            + Class("[Pipeline, Input(8), Target] public partial class A", "A")
            + Class("[Pipeline, Input(8), Target] public partial class B", "B") + "}\n");
}
