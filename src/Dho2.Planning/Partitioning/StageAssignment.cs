using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;

namespace Dho2.Planning;

/// <summary>
/// Puts every operation on a stage: one with a layer on the layer's, one without on the latest stage of its inputs,
/// unless fewer bytes cross when it moves to where it is used, or as many and a statement stays in one piece. The result depends on the structure alone, never on
/// numbers that a run may override, because the code is generated from it.
/// </summary>
internal sealed class StageAssignment
{
    // Every symbol counts as this many: large against constant dimensions, and the same for every run.
    private const long NominalSize = 1024;

    private const int Anywhere = -1;

    private readonly ModelDescription model;
    private readonly EquatableArray<InferredValue> types;
    private readonly List<PlanProblem> problems;
    private readonly List<int>[] uses;
    private readonly int[] stageOf;

    private StageAssignment(ModelDescription model, EquatableArray<InferredValue> types, int stages, List<PlanProblem> problems)
    {
        this.model = model;
        this.types = types;
        this.problems = problems;
        Stages = stages;
        uses = Enumerable.Range(0, model.Operations.Count).Select(i => ValueUses.Of(model, i)).ToArray();
        stageOf = new int[model.Operations.Count];
    }

    /// <summary>The number of stages.</summary>
    public int Stages { get; }

    /// <summary>The stage of each operation.</summary>
    public IReadOnlyList<int> Operations => stageOf;

    /// <summary>The values that each operation uses.</summary>
    public IReadOnlyList<List<int>> Uses => uses;

    /// <summary>Assigns the operations; null, with problems added, where no stages can be made.</summary>
    public static StageAssignment? Make(
        ModelDescription model, EquatableArray<InferredValue> types, List<PlanProblem> problems, CancellationToken cancellation)
    {
        int before = problems.Count;
        int stages = StageNumbers.Check(model, problems);
        if (problems.Count > before)
        {
            return null;
        }

        var assignment = new StageAssignment(model, types, stages, problems);
        assignment.Assign(cancellation);
        assignment.PlaceConstants();
        if (problems.Count > before)
        {
            return null;
        }

        assignment.Relocate(cancellation);
        return assignment;
    }

    /// <summary>The stage that makes a value; inputs are there on the first.</summary>
    public int StageOfValue(int value) => value < model.Inputs.Count ? 0 : stageOf[value - model.Inputs.Count];

    /// <summary>The last stage that uses each value; the stage that makes it where none does.</summary>
    public int[] LastUses()
    {
        int[] last = Enumerable.Range(0, model.Inputs.Count + model.Operations.Count).Select(StageOfValue).ToArray();
        for (int i = 0; i < uses.Length; i++)
        {
            foreach (int value in uses[i])
            {
                last[value] = Math.Max(last[value], stageOf[i]);
            }
        }

        foreach (int value in model.Results)
        {
            last[value] = Stages - 1;
        }

        return last;
    }

    private void Assign(CancellationToken cancellation)
    {
        Dictionary<int, int> wholes = StagesOfWholeStatements();
        for (int i = 0; i < stageOf.Length; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            Operation op = model.Operations[i];
            int latest = uses[i].Select(StageOfValue).DefaultIfEmpty(Anywhere).Max();
            if (!wholes.TryGetValue(op.Statement, out int whole))
            {
                stageOf[i] = op.Layer >= 0 && !TieFinder.IsRead(op) ? model.Layers[op.Layer].Stage!.Value : latest;
            }
            else
            {
                stageOf[i] = wholes[op.Statement] = whole != Anywhere ? whole : LatestInputOfStatement(op.Statement, i);
            }

            if (latest > stageOf[i])
            {
                ReportLater(i, uses[i].First(v => StageOfValue(v) == latest));
            }
        }
    }

    /// <summary>The latest stage of what a statement takes from before it; <paramref name="first"/> is its first operation.</summary>
    private int LatestInputOfStatement(int statement, int first) =>
        Enumerable.Range(first, uses.Length - first)
            .Where(i => model.Operations[i].Statement == statement)
            .SelectMany(i => uses[i])
            .Where(v => v < model.Inputs.Count + first)
            .Select(StageOfValue)
            .DefaultIfEmpty(0)
            .Max(s => Math.Max(s, 0));

    /// <summary>The stage of each statement that is copied as a whole: that of its layers, else the latest of what it reads.</summary>
    private Dictionary<int, int> StagesOfWholeStatements()
    {
        var result = new Dictionary<int, int>();
        for (int statement = 0; statement < model.Statements.Count; statement++)
        {
            if (model.Statements[statement].Pieces)
            {
                continue;
            }

            int[] layers = model.Operations.Where(o => o.Statement == statement && o.Layer >= 0).Select(o => o.Layer).Distinct().ToArray();
            int[] stages = layers.Select(l => model.Layers[l].Stage!.Value).Distinct().ToArray();
            if (stages.Length > 1)
            {
                problems.Add(new(
                    ProblemKind.StatementOverSeveralStages,
                    new PlanSite(SiteKind.Statement, statement),
                    string.Join(", ", layers.Select(l => $"'{model.Layers[l].Name}' on stage {model.Layers[l].Stage}"))));
            }

            result[statement] = stages.Length > 0 ? stages.Max() : Anywhere;
        }

        return result;
    }

    private void ReportLater(int operation, int value) =>
        problems.Add(new(
            ProblemKind.LaterStageFeedsEarlier,
            new PlanSite(SiteKind.Operation, operation),
            OperationNames.Describe(model, operation),
            stageOf[operation],
            OperationNames.DescribeValue(model, value),
            StageOfValue(value)));

    /// <summary>Operations without inputs go to the first stage that uses them.</summary>
    private void PlaceConstants()
    {
        int[] first = FirstConsumers();
        for (int i = stageOf.Length - 1; i >= 0; i--)
        {
            if (stageOf[i] == Anywhere)
            {
                int consumer = first[model.Inputs.Count + i];
                stageOf[i] = consumer == int.MaxValue ? 0 : consumer;
                foreach (int value in uses[i])
                {
                    first[value] = Math.Min(first[value], stageOf[i]);
                }
            }
        }
    }

    private int[] FirstConsumers()
    {
        int[] first = Enumerable.Repeat(int.MaxValue, model.Inputs.Count + model.Operations.Count).ToArray();
        foreach (int value in model.Results)
        {
            first[value] = Stages - 1;
        }

        for (int i = 0; i < uses.Length; i++)
        {
            foreach (int value in uses[i].Where(_ => stageOf[i] != Anywhere))
            {
                first[value] = Math.Min(first[value], stageOf[i]);
            }
        }

        return first;
    }

    /// <summary>
    /// Moves operations without layers to later stages, last ones first, where strictly fewer bytes cross; where it makes
    /// no difference, to the rest of their statement, so that the statement stays whole.
    /// </summary>
    private void Relocate(CancellationToken cancellation)
    {
        // What moves can make room for what comes before it, or free what comes after: until nothing moves any more.
        // Every move is to a later stage, so there is an end.
        bool moved = Stages > 1;
        while (moved)
        {
            moved = false;
            for (int i = stageOf.Length - 1; i >= 0; i--)
            {
                cancellation.ThrowIfCancellationRequested();
                int consumer = IsFixed(i) ? stageOf[i] : FirstConsumers()[model.Inputs.Count + i];
                if (consumer == int.MaxValue || consumer <= stageOf[i])
                {
                    continue;
                }

                // A tuple cannot cross; its elements can.
                int from = stageOf[i];
                stageOf[i] = model.Operations[i].Name == "tuple" ? consumer : BestStage(i, consumer);
                moved |= stageOf[i] > from;
            }
        }
    }

    /// <summary>
    /// Whether an operation must stay: it has a layer, belongs to a whole, or it or one after it changes in place what it
    /// works on.
    /// </summary>
    private bool IsFixed(int operation)
    {
        Operation op = model.Operations[operation];
        return op.Layer >= 0 || op.Name == "opaque" || IsInPlace(operation)
            || (op.Statement >= 0 && !model.Statements[op.Statement].Pieces)
            || Enumerable.Range(operation + 1, uses.Length - operation - 1).Any(later => IsInPlace(later) && uses[later].Intersect(uses[operation]).Any());
    }

    private bool IsInPlace(int operation)
    {
        Operation op = model.Operations[operation];
        return op.Name.EndsWith("_", StringComparison.Ordinal)
            || op.Arguments.Any(IsInPlace)
            || (op.Layer >= 0 && model.Layers[op.Layer].Arguments.Any(IsInPlace));

        static bool IsInPlace(Argument argument) => argument is { Name: "inplace", Kind: ArgumentKind.Boolean, Integer: not 0 };
    }

    private int BestStage(int operation, int consumer)
    {
        int from = stageOf[operation];
        bool isNested = IsNested(operation);
        if (BytesOf(model.Inputs.Count + operation) is not { } produced)
        {
            return isNested && uses[operation].All(IsTensor) ? consumer : from;
        }

        int[] last = LastUsesWithout(operation);
        int best = from;
        long bestSaving = 0;
        for (int to = from + 1; to <= consumer; to++)
        {
            long? saving = SafeInteger.Multiply(produced, to - from);
            foreach (int value in uses[operation])
            {
                saving = SafeInteger.Add(saving, SafeInteger.Multiply(BytesOf(value), -Math.Max(0, to - Math.Max(last[value], from))));
            }

            if (saving > bestSaving || (saving == bestSaving && isNested && to == consumer))
            {
                best = to;
                bestSaving = saving.Value;
            }
        }

        return best;
    }

    /// <summary>Whether an operation's result is used once, by another of the same statement.</summary>
    private bool IsNested(int operation)
    {
        int value = model.Inputs.Count + operation;
        int[] users = Enumerable.Range(0, uses.Length).Where(user => uses[user].Contains(value)).ToArray();
        return users.Length == 1
            && model.Operations[operation].Statement >= 0
            && model.Operations[users[0]].Statement == model.Operations[operation].Statement
            && !model.Statements.Any(statement => statement.Writes.Any(write => write.Value == value))
            && !model.Results.Contains(value);
    }

    private bool IsTensor(int value) =>
        value < model.Inputs.Count || model.Operations[value - model.Inputs.Count].TypeName == CutBuilder.TensorTypeName;

    private int[] LastUsesWithout(int operation)
    {
        List<int> own = uses[operation];
        uses[operation] = [];
        int[] last = LastUses();
        uses[operation] = own;
        return last;
    }

    private long? BytesOf(int value) => types[value] switch
    {
        { Type: { } type } => TensorBytes.Of(type).Evaluate(static _ => NominalSize),

        // Numbers and shapes weigh nothing beside tensors.
        { Kind: InferredKind.Integer or InferredKind.Number or InferredKind.Boolean } => 0,
        { Kind: InferredKind.List } list when list.Items.All(i => i.Kind == InferredKind.Integer) => 0,
        _ => null,
    };
}
