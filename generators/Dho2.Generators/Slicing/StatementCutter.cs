using System.Collections.Generic;
using System.Linq;
using Dho2.Modeling;
using Dho2.Planning;

namespace Dho2.Generators;

/// <summary>Cuts the statements of a forward method into the units of each stage.</summary>
internal sealed class StatementCutter
{
    private readonly ModelDescription model;
    private readonly SourceMap source;
    private readonly int[] stageOf;
    private readonly int[] parentOf;
    private readonly int stages;

    public StatementCutter(ModelDescription model, SourceMap source, Plan plan)
    {
        this.model = model;
        this.source = source;
        stages = plan.Stages.Count;
        stageOf = new int[model.Operations.Count];
        foreach (StagePlan stage in plan.Stages)
        {
            foreach (int operation in stage.Operations)
            {
                stageOf[operation] = stage.Index;
            }
        }

        parentOf = Enumerable.Range(0, model.Operations.Count).Select(FindParent).ToArray();
    }

    /// <summary>The units of a stage, in source order.</summary>
    public IEnumerable<StageUnit> UnitsOf(int stage)
    {
        for (int statement = 0; statement < model.Statements.Count; statement++)
        {
            int[] all = OperationsOf(statement);
            if (ShellOf(statement, all) == stage)
            {
                yield return Shell(statement, all, stage);
                continue;
            }

            foreach (int root in all.Where(o => stageOf[o] == stage && (parentOf[o] < 0 || stageOf[parentOf[o]] != stage)))
            {
                yield return Piece(statement, root, all);
            }
        }
    }

    private int[] OperationsOf(int statement) =>
        Enumerable.Range(0, model.Operations.Count).Where(o => model.Operations[o].Statement == statement).ToArray();

    /// <summary>The stage that runs a statement's own text: its latest one; the last stage returns. None where it computes nothing.</summary>
    private int ShellOf(int statement, int[] operations) =>
        source.Statements[statement].Form is StatementForm.Return or StatementForm.Expression ? stages - 1
        : operations.Length == 0 ? -1
        : operations.Max(o => stageOf[o]);

    private StageUnit Shell(int statement, int[] all, int stage)
    {
        int[] mine = all.Where(o => stageOf[o] == stage).ToArray();
        int[] foreign = all.Where(o => stageOf[o] != stage && source.Operations[o].Start >= 0 && (parentOf[o] < 0 || stageOf[parentOf[o]] == stage)).ToArray();
        IEnumerable<VariableRead> own = model.Statements[statement].Pieces
            ? source.Statements[statement].OwnReads.Concat(mine.SelectMany(o => source.Operations[o].Reads))
            : source.Statements[statement].Reads;
        return new StageUnit(statement, -1, mine, foreign, WithoutOwnResults(own, mine));
    }

    private StageUnit Piece(int statement, int root, int[] all)
    {
        int[] mine = all.Where(o => IsWithin(o, root)).ToArray();
        int[] foreign = all.Where(o => stageOf[o] != stageOf[root] && parentOf[o] >= 0 && mine.Contains(parentOf[o])).ToArray();
        return new StageUnit(statement, root, mine, foreign, WithoutOwnResults(mine.SelectMany(o => source.Operations[o].Reads), mine));
    }

    /// <summary>A tensor changed in place and read again within the unit is there already.</summary>
    private List<VariableRead> WithoutOwnResults(IEnumerable<VariableRead> reads, int[] mine) =>
        reads.Where(read => !mine.Contains(read.Definition - model.Inputs.Count)).Distinct().ToList();

    private bool IsWithin(int operation, int root)
    {
        for (; operation >= 0; operation = parentOf[operation])
        {
            if (operation == root)
            {
                return true;
            }

            if (parentOf[operation] < 0 || stageOf[parentOf[operation]] != stageOf[operation])
            {
                return false;
            }
        }

        return false;
    }

    /// <summary>The operation in whose text this one's directly lies; a later one where the texts are the same.</summary>
    private int FindParent(int operation)
    {
        OperationSource inner = source.Operations[operation];
        int parent = -1;
        for (int i = operation + 1; i < source.Operations.Count && model.Operations[i].Statement == model.Operations[operation].Statement; i++)
        {
            OperationSource outer = source.Operations[i];
            if (inner.Start >= 0 && outer.Start >= 0 && outer.Start <= inner.Start && outer.Start + outer.Length >= inner.Start + inner.Length
                && (parent < 0 || outer.Length < source.Operations[parent].Length))
            {
                parent = i;
            }
        }

        return parent;
    }
}
