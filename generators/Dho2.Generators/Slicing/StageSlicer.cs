using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Modeling;
using Dho2.Planning;

namespace Dho2.Generators;

/// <summary>
/// Writes a stage's share of a forward method: its statements, copied, with variables set to what they hold in the
/// user's method at that place, wherever the value came from.
/// </summary>
internal sealed class StageSlicer
{
    private readonly ModelDescription model;
    private readonly SourceMap source;
    private readonly Plan plan;
    private readonly int stage;
    private readonly IReadOnlyList<StageUnit> units;
    private readonly CutFields? incoming;
    private readonly CutFields? outgoing;
    private readonly HashSet<string> taken;
    private readonly IReadOnlyDictionary<int, string> mirrors;
    private readonly List<StageLine> lines = [];

    // What each variable holds here, and where values are kept that no variable needs to hold.
    private readonly Dictionary<string, int> holds = new(StringComparer.Ordinal);
    private readonly Dictionary<int, string> kept = [];

    private StageSlicer(PlannedSource input, StatementCutter cutter, int stage, CutFields? incoming, CutFields? outgoing, string cutName, IReadOnlyDictionary<int, string> mirrors)
    {
        this.mirrors = mirrors;
        model = input.Description;
        source = input.Source;
        plan = input.Plan;
        this.stage = stage;
        this.incoming = incoming;
        this.outgoing = outgoing;
        units = cutter.UnitsOf(stage).ToList();
        taken = new HashSet<string>(source.Identifiers, StringComparer.Ordinal) { cutName };
        if (incoming is null)
        {
            for (int i = 0; i < model.Inputs.Count; i++)
            {
                holds[model.Inputs[i].Name] = i;
            }
        }
        else
        {
            foreach (CutField field in incoming.Fields)
            {
                kept[field.Value] = $"{cutName}.{field.Name}";
            }
        }
    }

    /// <summary>Slices a stage out.</summary>
    /// <param name="input">The model, its source and its plan.</param>
    /// <param name="cutter">The model's statements, cut.</param>
    /// <param name="stage">The stage.</param>
    /// <param name="incoming">What comes from the stage before; null for the first.</param>
    /// <param name="outgoing">What goes to the next stage; null for the last.</param>
    /// <param name="cutName">The name of the parameter that holds the incoming cut.</param>
    /// <param name="mirrors">For operations that read another stage's parameters, what is written instead.</param>
    public static IReadOnlyList<StageLine> Slice(
        PlannedSource input,
        StatementCutter cutter,
        int stage,
        CutFields? incoming,
        CutFields? outgoing,
        string cutName,
        IReadOnlyDictionary<int, string> mirrors)
    {
        var slicer = new StageSlicer(input, cutter, stage, incoming, outgoing, cutName, mirrors);
        for (int i = 0; i < slicer.units.Count; i++)
        {
            slicer.Write(i);
        }

        if (outgoing is not null)
        {
            string values = string.Join(", ", outgoing.Fields.Select(field => slicer.HolderOf(field.Value)));
            slicer.lines.Add(new MadeLine($"return new {outgoing.TypeName}({values});"));
        }

        return slicer.lines;
    }

    private void Write(int index)
    {
        StageUnit unit = units[index];
        StatementSource statement = source.Statements[unit.Statement];
        foreach (VariableRead read in unit.Reads)
        {
            Set(read, index);
        }

        HashSet<int> cloned = CloneInputs(unit);
        IReadOnlyList<Replacement> replacements = unit.Foreign
            .Select(o => new Replacement(
                source.Operations[o].Start, source.Operations[o].Length, HolderOf(ValueOf(o)) + (cloned.Contains(ValueOf(o)) ? ".clone()" : "")))
            .ToList();
        replacements = WithSubstitutions(unit, statement, replacements);
        if (unit.Root >= 0)
        {
            WritePiece(unit, statement, replacements);
        }
        else
        {
            WriteStatement(unit, index, statement, replacements);
        }
    }

    /// <summary>Adds what the statement's text writes otherwise, outside of what other stages compute.</summary>
    private IReadOnlyList<Replacement> WithSubstitutions(StageUnit unit, StatementSource statement, IReadOnlyList<Replacement> foreign)
    {
        (int start, int end) = unit.Root < 0
            ? (0, statement.Text.Text.Length)
            : (source.Operations[unit.Root].Start, source.Operations[unit.Root].Start + source.Operations[unit.Root].Length);
        return statement.Substitutions
            .Where(part => part.Start >= start && part.Start + part.Length <= end)
            .Where(part => !foreign.Any(other => other.Start <= part.Start && other.Start + other.Length >= part.Start + part.Length))
            .Select(part => new Replacement(part.Start, part.Length, part.Text))
            .Concat(unit.Operations.Where(mirrors.ContainsKey).Select(o => new Replacement(source.Operations[o].Start, source.Operations[o].Length, mirrors[o])))
            .Concat(foreign)
            .OrderBy(part => part.Start)
            .ToList();
    }

    private void WritePiece(StageUnit unit, StatementSource statement, IReadOnlyList<Replacement> replacements)
    {
        OperationSource root = source.Operations[unit.Root];
        int value = ValueOf(unit.Root);
        string name = Names.Free(outgoing?.Fields.FirstOrDefault(field => field.Value == value)?.Name ?? "result", taken);
        lines.Add(new CopiedLine($"var {name} = ", statement.Text, root.Start, root.Length, replacements, ";"));
        Redefine(unit);
        kept[value] = name;
    }

    private void WriteStatement(StageUnit unit, int index, StatementSource statement, IReadOnlyList<Replacement> replacements)
    {
        foreach (VariableRead write in statement.Writes.Where(write => statement.Assigns.Contains(write.Variable)))
        {
            Preserve(write.Variable, index);
            if (!holds.ContainsKey(write.Variable) && !statement.Declares.Contains(write.Variable))
            {
                lines.Add(new MadeLine($"{TypeOf(write.Variable)} {Names.Escape(write.Variable)};"));
            }
        }

        int skipped = statement.Writes.Any(write => IsSent(write.Definition)) ? statement.UsingLength : 0;
        bool isExpression = statement.Form == StatementForm.Expression;
        lines.Add(new CopiedLine(
            isExpression ? "return " : "", statement.Text, skipped, statement.Text.Text.Length - skipped, replacements, isExpression ? ";" : ""));
        Redefine(unit);
        foreach (VariableRead write in statement.Writes.Where(write => statement.Assigns.Contains(write.Variable)))
        {
            holds[write.Variable] = write.Definition;
        }
    }

    /// <summary>After a change in place, what named the tensor names the changed one.</summary>
    private void Redefine(StageUnit unit)
    {
        foreach (int operation in unit.Operations.Where(o => source.Operations[o].InPlace >= 0))
        {
            foreach (string variable in holds.Where(h => h.Value == source.Operations[operation].InPlace).Select(h => h.Key).ToList())
            {
                holds[variable] = ValueOf(operation);
            }
        }
    }

    /// <summary>Makes a variable hold a value or constant.</summary>
    private void Set(VariableRead read, int index)
    {
        if (holds.TryGetValue(read.Variable, out int held) && held == read.Definition)
        {
            return;
        }

        string value = read.Definition < 0 ? source.Constants[~read.Definition].ValueText : HolderOf(read.Definition);
        Preserve(read.Variable, index);
        string declaration = holds.ContainsKey(read.Variable) ? "" : TypeOf(read.Variable) + " ";
        lines.Add(new MadeLine($"{declaration}{Names.Escape(read.Variable)} = {value};"));
        holds[read.Variable] = read.Definition;
    }

    /// <summary>Keeps what a variable holds, before it is overwritten, if it is needed later and nothing else holds it.</summary>
    private void Preserve(string variable, int index)
    {
        if (!holds.TryGetValue(variable, out int value)
            || value < 0
            || kept.ContainsKey(value)
            || holds.Any(h => h.Key != variable && h.Value == value)
            || !IsNeededAfter(value, index))
        {
            return;
        }

        // Where the user has another name for it, that is the name.
        if (OtherName(value, units[index].Statement) is { } other)
        {
            lines.Add(new MadeLine($"{TypeOf(other)} {Names.Escape(other)} = {Names.Escape(variable)};"));
            holds[other] = value;
            return;
        }

        string name = Names.Free(outgoing?.Fields.FirstOrDefault(field => field.Value == value)?.Name ?? variable, taken);
        lines.Add(new MadeLine($"{TypeOf(variable)} {name} = {Names.Escape(variable)};"));
        kept[value] = name;
    }

    /// <summary>A variable that holds a value in the user's method, and that is not declared here yet.</summary>
    private string? OtherName(int value, int statement) =>
        Enumerable.Range(0, statement)
            .SelectMany(i => source.Statements[i].Writes)
            .Where(write => write.Definition == value && !holds.ContainsKey(write.Variable))
            .Select(write => write.Variable)
            .FirstOrDefault();

    private bool IsNeededAfter(int value, int index) =>
        outgoing?.Fields.Any(field => field.Value == value) == true
        || units.Skip(index + 1).Any(unit => unit.Reads.Any(read => read.Definition == value) || unit.Foreign.Any(o => ValueOf(o) == value))
        || units[index].Reads.Any(read => read.Definition == value && holds.TryGetValue(read.Variable, out int held) && held != value);

    /// <summary>
    /// A stage's inputs are leaves, which automatic differentiation does not let anyone change in place: what would be
    /// changed is copied first.
    /// </summary>
    private HashSet<int> CloneInputs(StageUnit unit)
    {
        var inline = new HashSet<int>();
        foreach (int value in unit.Operations.Select(o => source.Operations[o].InPlace).Distinct())
        {
            if (value < 0 || incoming?.Fields.Any(field => field.Value == value) != true || !kept.ContainsKey(value))
            {
                continue;
            }

            string? variable = unit.Reads.Where(read => read.Definition == value).Select(read => read.Variable).FirstOrDefault();
            if (variable is null)
            {
                inline.Add(value);
                continue;
            }

            lines.Add(new MadeLine($"{Names.Escape(variable)} = {Names.Escape(variable)}.clone(); // an input of the stage cannot be changed in place"));
            kept.Remove(value);
        }

        return inline;
    }

    private string HolderOf(int value)
    {
        string? variable = holds.Where(h => h.Value == value).Select(h => h.Key).OrderBy(name => name, StringComparer.Ordinal).FirstOrDefault();
        return variable is not null ? Names.Escape(variable)
            : kept.TryGetValue(value, out string? name) ? name
            : throw new InvalidOperationException($"Value {value} is not there in stage {stage} of {model.MetadataName}.");
    }

    private bool IsSent(int value) =>
        outgoing?.Fields.Any(field => field.Value == value) == true || (stage == plan.Stages.Count - 1 && model.Results.Contains(value));

    private int ValueOf(int operation) => model.Inputs.Count + operation;

    private string TypeOf(string variable) => source.Variables.First(v => v.Name == variable).TypeText;
}
