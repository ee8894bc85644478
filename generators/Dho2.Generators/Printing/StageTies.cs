using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using Dho2.Modeling;
using Dho2.Planning;

namespace Dho2.Generators;

/// <summary>What a stage does about the model's tied parameters: which of its own it replaces, and which it mirrors.</summary>
internal sealed class StageTies
{
    private readonly PlannedSource input;
    private readonly int stage;
    private readonly Dictionary<int, string> reads = [];
    private readonly List<string> fields = [];
    private readonly List<(string Name, string Expression)> mirrors = [];
    private readonly List<string> assignments = [];

    public StageTies(PlannedSource input, int stage, ISet<string> taken)
    {
        this.input = input;
        this.stage = stage;
        foreach (TiePlan tie in input.Plan.Ties.Where(tie => tie.Owner == stage || tie.Mirrors.Contains(stage)))
        {
            Add(tie, taken);
        }
    }

    /// <summary>For each operation that reads another stage's parameter, what is written in its place.</summary>
    public IReadOnlyDictionary<int, string> Reads => reads;

    /// <summary>Fields that hold mirrors of their own.</summary>
    public IReadOnlyList<string> Fields => fields;

    /// <summary>The mirrors, by the owners' names.</summary>
    public IReadOnlyList<(string Name, string Expression)> Mirrors => mirrors;

    /// <summary>Statements of the constructor, once the layers are there; the stage's context is called so.</summary>
    public IEnumerable<string> Assignments(string context) => assignments.Select(text => text.Replace("\0", context));

    private void Add(TiePlan tie, ISet<string> taken)
    {
        List<TiedUse> uses = tie.Uses.Where(use => use.Stage == stage).ToList();
        string? one = tie.Owner == stage ? Value(tie.Layer, tie.Name) : null;
        foreach (TiedUse use in uses.Where(use => use.Layer >= 0))
        {
            if (one is not null)
            {
                assignments.Add($"{Member(use.Layer, use.Name)} = {one};");
            }

            one ??= Value(use.Layer, use.Name);
        }

        if (one is null)
        {
            one = Names.Escape(Names.Free(tie.Name.Replace('.', '_'), taken));
            fields.Add(one);
            string shape = string.Join(", ", tie.Shape.Select(size => size.ToString(CultureInfo.InvariantCulture) + "L"));
            assignments.Add($"{one} = new(global::TorchSharp.torch.zeros(new long[] {{ {shape} }}, \0.DType, \0.Device));");
        }

        if (tie.Owner != stage)
        {
            mirrors.Add((tie.Name, one));
        }

        foreach (TiedUse use in uses.Where(use => use.Operation >= 0))
        {
            reads.Add(use.Operation, one);
        }
    }

    private string Member(int layer, string name) =>
        Names.Escape(input.Source.Layers[layer].Member) + name.Substring(input.Description.Layers[layer].Name.Length);

    // TorchSharp declares some weights, and all biases, as if they could be missing.
    private string Value(int layer, string name) => Member(layer, name) + (name == input.Description.Layers[layer].Name ? "" : "!");
}
