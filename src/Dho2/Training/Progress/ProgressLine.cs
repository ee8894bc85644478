using System;
using System.IO;

namespace Dho2;

/// <summary>
/// Shows steps as they are done: in a terminal one line that is written over, elsewhere a plain line now and then, so that a
/// log of hours stays short. Goes by the steps' own clock.
/// </summary>
/// <param name="output">Takes the lines.</param>
/// <param name="width">The width of the terminal; null where it is none.</param>
internal sealed class ProgressLine(TextWriter output, Func<int>? width)
{
    private const double PartsOfRun = 100;

    private static readonly TimeSpan Redraw = TimeSpan.FromSeconds(0.2);
    private static readonly TimeSpan LeastBetweenLines = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan MostBetweenLines = TimeSpan.FromMinutes(5);

    private TimeSpan last;
    private int shown;

    /// <summary>A line on the error stream, which results do not go to.</summary>
    public static ProgressLine OfProcess() =>
        new(Console.Error, Console.IsErrorRedirected || Environment.GetEnvironmentVariable("TERM") is null or "dumb" ? null : () => Console.WindowWidth);

    /// <summary>A step is done.</summary>
    public void Show(StepCompleted step)
    {
        if (step.Elapsed - last < IntervalOf(step))
        {
            return;
        }

        last = step.Elapsed;
        if (width is null)
        {
            output.WriteLine(step.ToText());
            return;
        }

        string text = step.ToText(width() - 1);
        output.Write($"\r{text}{new string(' ', Math.Max(0, shown - text.Length))}");
        output.Flush();
        shown = text.Length;
    }

    /// <summary>Says something that stays; after <see cref="Clear"/>.</summary>
    public void Say(string text) => output.WriteLine(text);

    /// <summary>Makes room for what somebody else may print.</summary>
    public void Clear()
    {
        if (shown > 0)
        {
            output.Write($"\r{new string(' ', shown)}\r");
            output.Flush();
            shown = 0;
        }
    }

    private TimeSpan IntervalOf(StepCompleted step)
    {
        if (width is not null)
        {
            return Redraw;
        }

        TimeSpan part = (step.Elapsed + (step.Status?.Remaining ?? TimeSpan.Zero)) / PartsOfRun;
        return part < LeastBetweenLines ? LeastBetweenLines : part > MostBetweenLines ? MostBetweenLines : part;
    }
}
