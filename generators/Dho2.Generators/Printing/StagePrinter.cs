using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using Dho2.Modeling;
using Dho2.Planning;
using Microsoft.CodeAnalysis.CSharp;

namespace Dho2.Generators;

/// <summary>Prints one stage: its layers, their creation, and its share of forward.</summary>
internal sealed class StagePrinter
{
    private const string Pipelines = "global::Dho2.Pipelines";
    private const string Tensor = "global::TorchSharp.torch.Tensor";

    private readonly PlannedSource input;
    private readonly CodeWriter writer;
    private readonly CopyPrinter copies;
    private readonly StagePlan stage;
    private readonly CutFields? incoming;
    private readonly CutFields? outgoing;
    private readonly StageTies ties;
    private readonly IReadOnlyList<StageLine> body;
    private readonly string contextName;
    private readonly string cutName;

    public StagePrinter(PlannedSource input, StatementCutter cutter, CodeWriter writer, StagePlan stage)
    {
        this.input = input;
        this.writer = writer;
        this.stage = stage;
        copies = new CopyPrinter(writer, input.Source);
        incoming = stage.Index > 0 ? CutFields.Of(input.Class, input.Plan.Cuts[stage.Index - 1]) : null;
        outgoing = stage.Index < input.Plan.Cuts.Count ? CutFields.Of(input.Class, input.Plan.Cuts[stage.Index]) : null;
        var taken = new HashSet<string>(input.Source.Identifiers, StringComparer.Ordinal);
        contextName = Names.Free("context", taken);
        cutName = Names.Free("cut", taken);
        ties = new StageTies(input, stage.Index, taken);
        body = StageSlicer.Slice(input, cutter, stage.Index, incoming, outgoing, cutName, ties.Reads);
    }

    private string TypeName => input.Class.Names.Stage + stage.Index;

    /// <summary>The layers whose creation is copied from another file than that of forward.</summary>
    public static IEnumerable<int> LayersElsewhere(PlannedSource input, StagePlan stage) =>
        stage.Layers.Where(layer => input.Source.Layers[layer].Initialiser!.Span.File != input.Source.ForwardFile && !IsDropout(input, layer));

    public void Print()
    {
        writer.Line($"/// <summary>Stage {stage.Index} of {input.Plan.Stages.Count}: {Names.Xml(Summary())}.</summary>");
        PrintMemory();
        writer.Line(TypeShell.GeneratedCode);
        string modifiers = (input.Source.IsUnsafe ? "unsafe " : "") + (LayersElsewhere(input, stage).Any() ? "partial " : "");
        using (writer.Braces($"public sealed {modifiers}class {TypeName} : {Pipelines}.IPipelineStage"))
        {
            PrintFields();
            PrintConstructor();
            writer.Line();
            PrintForward();
            writer.Line();
            PrintInterface();
        }
    }

    /// <summary>Prints the part of the stage that creates layers of another file.</summary>
    public void PrintElsewhere(int file)
    {
        using (writer.Braces($"partial class {TypeName}"))
        {
            foreach (int layer in LayersElsewhere(input, stage).Where(l => input.Source.Layers[l].Initialiser!.Span.File == file))
            {
                LayerSource source = input.Source.Layers[layer];
                using (writer.Braces($"private {(source.UsesMembers ? "" : "static ")}{input.Description.Layers[layer].TypeName} {CreatorOf(source)}()"))
                {
                    writer.Verbatim("#pragma warning disable");
                    PrintCreation(source);
                    writer.Verbatim("#pragma warning restore");
                }
            }
        }
    }

    private static bool IsDropout(PlannedSource input, int layer) =>
        input.Description.Layers[layer].Kind is "TorchSharp.torch.nn.Dropout" or "TorchSharp.Modules.Dropout";

    private static string CreatorOf(LayerSource layer) => "Create_" + layer.Member;

    private string Summary()
    {
        string layers = stage.Layers.Count == 0 ? "no layers" : string.Join(", ", stage.Layers.Select(l => input.Description.Layers[l].Name));
        string parameters = stage.ParameterCount is { } count
            ? count.ToString("#,0", CultureInfo.InvariantCulture) + " parameters"
            : "a number of parameters that is not known";
        return $"{layers}; {parameters}";
    }

    /// <summary>What the stage's device has to hold, where an editor shows it.</summary>
    private void PrintMemory()
    {
        writer.Line("/// <remarks>");
        writer.Line($"/// <para>{Names.Xml(PlanTables.Memory(input.Description, input.Plan, stage))}</para>");
        writer.Line("/// <list type=\"bullet\">");
        foreach (string term in PlanTables.MemoryTerms(stage))
        {
            writer.Line($"/// <item><description>{Names.Xml(term)}</description></item>");
        }

        writer.Line("/// </list>");
        writer.Line("/// </remarks>");
    }

    private void PrintFields()
    {
        foreach (int layer in stage.Layers)
        {
            LayerSource source = input.Source.Layers[layer];
            writer.Line($"private readonly {FieldType(layer)} {Names.Escape(source.Member)};");
        }

        foreach (string mirror in ties.Fields)
        {
            writer.Line($"private readonly global::TorchSharp.Modules.Parameter {mirror};");
        }

        string[] copied = body.OfType<CopiedLine>().Select(WithoutReplaced)
            .Concat(stage.Layers.Select(layer => input.Source.Layers[layer].Initialiser?.Text ?? ""))
            .ToArray();
        foreach (MemberSource member in input.Source.Members.Where(member => copied.Any(text => Mentions(text, member.Name))))
        {
            writer.Line($"private readonly {member.TypeText} {Names.Escape(member.Name)} = {member.ValueText};");
        }

        if (stage.Layers.Count + ties.Fields.Count > 0)
        {
            writer.Line();
        }
    }

    private static string WithoutReplaced(CopiedLine line)
    {
        char[] text = line.Text.Text.ToCharArray();
        foreach (Replacement replacement in line.Replacements)
        {
            for (int i = replacement.Start; i < replacement.Start + replacement.Length; i++)
            {
                text[i] = ' ';
            }
        }

        return new string(text);
    }

    private string FieldType(int layer)
    {
        LayerSource source = input.Source.Layers[layer];
        return IsDropout(input, layer) ? $"{Pipelines}.StageDropout"
            : source.Declaration.File == input.Source.ForwardFile ? source.TypeText
            : input.Description.Layers[layer].TypeName;
    }

    private void PrintConstructor()
    {
        writer.Line($"/// <summary>Creates the stage's layers.</summary>");
        writer.Line($"/// <param name=\"{contextName}\">Seeds, element type and device.</param>");
        using (writer.Braces($"public {TypeName}({Pipelines}.StageContext {contextName})"))
        {
            bool isCopied = stage.Layers.Any(layer => !IsDropout(input, layer));
            if (isCopied)
            {
                writer.Verbatim("#pragma warning disable");
            }

            foreach (int layer in stage.Layers)
            {
                PrintLayer(layer);
            }

            foreach (string assignment in ties.Assignments(contextName))
            {
                writer.Line(assignment);
            }

            if (isCopied)
            {
                writer.Verbatim("#pragma warning restore");
            }
        }
    }

    private void PrintLayer(int layer)
    {
        LayerSource source = input.Source.Layers[layer];
        LayerDescription description = input.Description.Layers[layer];
        string field = Names.Escape(source.Member);
        string name = SymbolDisplay.FormatLiteral(description.Name, quote: true);
        if (IsDropout(input, layer))
        {
            writer.Line($"{field} = new {Pipelines}.StageDropout({contextName}, {name}{DropoutArguments(description)});");
            return;
        }

        string create = $"{field} = {contextName}.Create<{FieldType(layer)}>({name}, ";
        string lambda = source.UsesMembers ? "() =>" : "static () =>";
        if (source.Initialiser!.Span.File != input.Source.ForwardFile)
        {
            writer.Line($"{create}{CreatorOf(source)});");
        }
        else if (source.Constants.Count > 0)
        {
            using (writer.Braces(create + lambda, "});"))
            {
                PrintCreation(source);
            }
        }
        else
        {
            writer.Line(create + lambda);
            using (writer.Indented())
            {
                copies.Print(source.Initialiser);
                writer.Line(");");
            }
        }
    }

    private void PrintCreation(LayerSource layer)
    {
        foreach (ConstantSource constant in layer.Constants)
        {
            writer.Line($"{constant.TypeText} {Names.Escape(constant.Variable)} = {constant.ValueText};");
        }

        writer.Line("return");
        using (writer.Indented())
        {
            copies.Print(layer.Initialiser!);
            writer.Line(";");
        }
    }

    private static string DropoutArguments(LayerDescription layer)
    {
        string arguments = "";
        foreach (Argument argument in layer.Arguments)
        {
            arguments += (argument.Name, argument.Kind) switch
            {
                ("p", ArgumentKind.Number) => ", p: " + argument.Number.ToString("R", CultureInfo.InvariantCulture),
                ("p", ArgumentKind.Integer) => ", p: " + argument.Integer.ToString(CultureInfo.InvariantCulture),
                ("inplace", ArgumentKind.Boolean) when argument.Integer != 0 => ", inplace: true",
                _ => "",
            };
        }

        return arguments;
    }

    private void PrintForward()
    {
        string result = outgoing?.TypeName ?? input.Class.ResultType;
        string parameters = incoming is null
            ? string.Join(", ", input.Description.Inputs.Select((value, i) => $"{input.Class.InputTypes[i]} {Names.Escape(value.Name)}"))
            : $"{incoming.TypeName} {cutName}";
        writer.Line("/// <summary>The stage's share of forward.</summary>");
        using (writer.Braces($"public {result} {input.Class.Names.Forward}({parameters})"))
        {
            copies.Print(body);
        }
    }

    private void PrintInterface()
    {
        string forward = input.Class.Names.Forward;
        string arguments = incoming is null
            ? string.Join(", ", input.Description.Inputs.Select((_, i) => $"inputs[{i}]"))
            : $"{incoming.TypeName}.FromTensors(inputs)";
        writer.Line($"int {Pipelines}.IPipelineStage.Index => {stage.Index};").Line();
        string layers = string.Join(", ", stage.Layers.Select(layer =>
            $"new({SymbolDisplay.FormatLiteral(input.Description.Layers[layer].Name, quote: true)}, {Names.Escape(input.Source.Layers[layer].Member)})"));
        writer.Line($"global::System.Collections.Generic.IReadOnlyList<{Pipelines}.StageLayer> {Pipelines}.IPipelineStage.Layers => [{layers}];").Line();
        if (ties.Mirrors.Count > 0)
        {
            string mirrors = string.Join(", ", ties.Mirrors.Select(mirror => $"new({SymbolDisplay.FormatLiteral(mirror.Name, quote: true)}, {mirror.Expression})"));
            writer.Line($"global::System.Collections.Generic.IReadOnlyList<{Pipelines}.ParameterMirror> {Pipelines}.IPipelineStage.Mirrors => [{mirrors}];").Line();
        }

        string header = $"{Tensor}[] {Pipelines}.IPipelineStage.Forward(global::System.Collections.Generic.IReadOnlyList<{Tensor}> inputs)";
        if (outgoing is not null)
        {
            writer.Line($"{header} => {forward}({arguments}).ToTensors();").Line();
        }
        else if (input.Description.Results.Count == 1 && !input.Class.ResultType.StartsWith("(", StringComparison.Ordinal))
        {
            writer.Line($"{header} => [{forward}({arguments})];").Line();
        }
        else
        {
            using (writer.Braces(header))
            {
                writer.Line($"var results = {forward}({arguments});");
                writer.Line($"return [{string.Join(", ", input.Description.Results.Select((_, i) => $"results.Item{i + 1}"))}];");
            }

            writer.Line();
        }

        using (writer.Braces("void global::System.IDisposable.Dispose()"))
        {
            foreach (int layer in stage.Layers)
            {
                writer.Line($"{Names.Escape(input.Source.Layers[layer].Member)}.Dispose();");
            }

            foreach (string mirror in ties.Fields)
            {
                writer.Line($"{mirror}.Dispose();");
            }
        }
    }

    private static bool Mentions(string text, string name)
    {
        for (int at = text.IndexOf(name, StringComparison.Ordinal); at >= 0; at = text.IndexOf(name, at + 1, StringComparison.Ordinal))
        {
            bool before = at > 0 && SyntaxFacts.IsIdentifierPartCharacter(text[at - 1]);
            bool after = at + name.Length < text.Length && SyntaxFacts.IsIdentifierPartCharacter(text[at + name.Length]);
            if (!before && !after)
            {
                return true;
            }
        }

        return false;
    }
}
