using System;
using System.Globalization;
using System.Linq;
using System.Text;

namespace Dho2.Planning;

/// <summary>Draws a simulated schedule over time: one row for each rank, one cell for each computation.</summary>
/// <remarks>
/// Cells are named by what they do (F: forward, B: backward, I and W: its parts for inputs and for weights), the stage where
/// ranks hold several, and the micro-batch: <c>F2.5</c> is the forward of stage 2 on micro-batch 5.
/// </remarks>
public static class ScheduleDrawing
{
    // A drawing that is finer than this cannot be read.
    private const long MostColumns = 2000;
    private const int CellHeight = 24;
    private const int Margin = 64;

    /// <summary>What a computation is called in a drawing.</summary>
    /// <param name="instruction">The instruction.</param>
    /// <param name="withStage">Whether the stage is named: where a rank holds several.</param>
    public static string LabelOf(Instruction instruction, bool withStage)
    {
        string kind = instruction.Kind switch
        {
            InstructionKind.Forward => "F",
            InstructionKind.Backward => "B",
            InstructionKind.BackwardInput => "I",
            InstructionKind.BackwardWeight => "W",
            InstructionKind.SendActivation => "sF",
            InstructionKind.ReceiveActivation => "rF",
            InstructionKind.SendGradient => "sB",
            _ => "rB",
        };
        string stage = withStage ? Text(instruction.Stage) + "." : "";
        return kind + stage + Text(instruction.MicroBatch);
    }

    /// <summary>Lines of text; where a rank is stuck, its instruction stands between exclamation marks, and the reasons follow.</summary>
    /// <param name="simulation">The simulation.</param>
    public static string Write(ScheduleSimulation simulation)
    {
        bool withStage = HasSeveralStages(simulation);
        long unit = UnitOf(simulation);
        int cell = 1 + simulation.Work.Select(w => LabelOf(w.Instruction, withStage).Length)
            .Concat(simulation.Stuck.Select(s => LabelOf(s.Instruction, withStage).Length + 2))
            .DefaultIfEmpty(0).Max();
        var text = new StringBuilder();
        for (int rank = 0; rank < simulation.Busy.Count; rank++)
        {
            var row = new StringBuilder();
            foreach (ScheduledWork work in simulation.Work.Where(w => w.Rank == rank))
            {
                row.Append(' ', Math.Max(0, Column(work.Start) - row.Length)).Append(LabelOf(work.Instruction, withStage));

                // What follows of a longer computation is dotted, so that waiting can be told from working.
                row.Append('.', Math.Max(0, Column(work.End) - 1 - row.Length));
            }

            foreach (StuckInstruction stuck in simulation.Stuck.Where(s => s.Rank == rank))
            {
                row.Append(row.Length > 0 ? " " : "").Append('!').Append(LabelOf(stuck.Instruction, withStage)).Append('!');
            }

            text.Append("rank ").Append(Text(rank).PadRight(3)).Append("| ").Append(row.ToString().TrimEnd()).Append('\n');
        }

        foreach (StuckInstruction stuck in simulation.Stuck)
        {
            text.Append(stuck).Append('\n');
        }

        return text.ToString();

        int Column(long time) => (int)(time / unit * cell);
    }

    /// <summary>A picture in SVG; the instruction at which a rank is stuck is outlined in red, its reason a tooltip and a line below.</summary>
    /// <param name="simulation">The simulation.</param>
    public static string WriteSvg(ScheduleSimulation simulation)
    {
        bool withStage = HasSeveralStages(simulation);
        long unit = UnitOf(simulation);
        int cell = 10 + (8 * simulation.Work.Select(w => LabelOf(w.Instruction, withStage).Length).DefaultIfEmpty(2).Max());
        long width = Margin + ((simulation.Makespan / unit) + 2) * cell;
        int height = (simulation.Busy.Count + simulation.Stuck.Count + 1) * CellHeight;
        var svg = new StringBuilder();
        svg.Append($"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{Text(width)}\" height=\"{Text(height)}\" font-family=\"monospace\" font-size=\"12\">\n");
        for (int rank = 0; rank < simulation.Busy.Count; rank++)
        {
            svg.Append($"<text x=\"4\" y=\"{Text(Baseline(rank))}\">rank {Text(rank)}</text>\n");
            long end = 0;
            foreach (ScheduledWork work in simulation.Work.Where(w => w.Rank == rank))
            {
                end = Math.Max(end, work.End);
                Cell(rank, work.Start, Math.Max(unit, work.End - work.Start), work.Instruction, FillOf(work.Instruction), "#555", work.Instruction.ToString());
            }

            foreach (StuckInstruction stuck in simulation.Stuck.Where(s => s.Rank == rank))
            {
                Cell(rank, end, unit, stuck.Instruction, "#fff", "#d00", stuck.ToString());
            }
        }

        for (int i = 0; i < simulation.Stuck.Count; i++)
        {
            svg.Append($"<text x=\"4\" y=\"{Text(Baseline(simulation.Busy.Count + i))}\" fill=\"#d00\">{Escape(simulation.Stuck[i].ToString())}</text>\n");
        }

        return svg.Append("</svg>\n").ToString();

        static int Baseline(int row) => (row * CellHeight) + 16;

        void Cell(int rank, long start, long length, Instruction instruction, string fill, string stroke, string title)
        {
            long x = Margin + (start / unit * cell);
            svg.Append($"<g><title>{Escape(title)}</title>");
            svg.Append($"<rect x=\"{Text(x)}\" y=\"{Text(rank * CellHeight)}\" width=\"{Text(length / unit * cell)}\" height=\"{Text(CellHeight - 2)}\" fill=\"{fill}\" stroke=\"{stroke}\"/>");
            svg.Append($"<text x=\"{Text(x + 4)}\" y=\"{Text(Baseline(rank))}\">{LabelOf(instruction, withStage)}</text></g>\n");
        }
    }

    private static string FillOf(Instruction instruction) => instruction.Kind switch
    {
        InstructionKind.Forward => "#9ecae1",
        InstructionKind.BackwardWeight => "#fdd0a2",
        _ => "#a1d99b",
    };

    private static bool HasSeveralStages(ScheduleSimulation simulation) => simulation.MaxInFlight.Count > simulation.Busy.Count;

    /// <summary>The longest time of which all computations are multiples; more where that would make too many columns.</summary>
    private static long UnitOf(ScheduleSimulation simulation)
    {
        long unit = 0;
        foreach (long time in simulation.Work.SelectMany(w => new[] { w.Start, w.End }))
        {
            unit = GreatestCommonDivisor(unit, time);
        }

        return Math.Max(Math.Max(1, unit), simulation.Makespan / MostColumns);
    }

    private static long GreatestCommonDivisor(long a, long b)
    {
        while (b != 0)
        {
            (a, b) = (b, a % b);
        }

        return a;
    }

    private static string Escape(string text) => text.Replace("&", "&amp;").Replace("<", "&lt;").Replace(">", "&gt;");

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);
}
