using System;
using System.IO;
using System.Linq;
using System.Text;
using Spectre.Console;

namespace Dho2.Cli;

/// <summary>
/// Where results and complaints go. In a terminal there are colours, unless <c>NO_COLOR</c> is set, and lines are as wide as it
/// is; in a file or a pipe there is plain text, and what is one line stays one.
/// </summary>
internal sealed class Terminal
{
    private const int Unlimited = 10_000;

    private readonly bool isTerminal;

    /// <summary>Writes to some writers.</summary>
    /// <param name="output">Takes results.</param>
    /// <param name="errors">Takes complaints.</param>
    /// <param name="isTerminal">Whether somebody looks at the results in a terminal.</param>
    public Terminal(TextWriter output, TextWriter errors, bool isTerminal = false)
    {
        Output = output;
        Errors = errors;
        this.isTerminal = isTerminal;
        Console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Ansi = isTerminal ? AnsiSupport.Detect : AnsiSupport.No,
            ColorSystem = isTerminal ? ColorSystemSupport.Detect : ColorSystemSupport.NoColors,
            Interactive = InteractionSupport.No,
            Out = new AnsiConsoleOutput(isTerminal ? output : new TrimmingWriter(output)),
        });
        if (!isTerminal)
        {
            Console.Profile.Width = Unlimited;
        }
    }

    /// <summary>Takes results.</summary>
    public TextWriter Output { get; }

    /// <summary>Takes complaints.</summary>
    public TextWriter Errors { get; }

    /// <summary>Takes results that are laid out.</summary>
    public IAnsiConsole Console { get; }

    /// <summary>The process's own streams.</summary>
    public static Terminal OfProcess() => new(System.Console.Out, System.Console.Error, !System.Console.IsOutputRedirected);

    /// <summary>A table that looks right here: with lines in a terminal, as Markdown elsewhere.</summary>
    /// <param name="columns">The columns' headings; a hyphen before one aligns its numbers to the right.</param>
    public Table Table(params string[] columns)
    {
        Table table = new Table().Border(isTerminal ? TableBorder.Rounded : TableBorder.Markdown).BorderColor(Color.Grey);
        foreach (string column in columns)
        {
            bool isNumber = column.StartsWith('-');
            TableColumn added = new(new Text(isNumber ? column[1..] : column, new Style(decoration: Decoration.Bold)));
            table.AddColumn(isNumber ? added.RightAligned() : added);
        }

        return table;
    }

    /// <summary>Adds a row to a table; cells are text, whatever brackets they have.</summary>
    public static void Row(Table table, params string[] cells) => table.AddRow(cells.Select(cell => new Text(cell)));

    /// <summary>Writes a line that stands over what follows.</summary>
    public void Heading(string text)
    {
        Console.WriteLine();
        Console.Write(new Text(text + "\n", new Style(Color.Blue, decoration: Decoration.Bold)));
    }

    /// <summary>Says what is wrong.</summary>
    public void Complain(string message) => Errors.WriteLine($"dho2: {message}");

    // Tables and grids fill their lines up with blanks, which nobody wants in a file.
    private sealed class TrimmingWriter(TextWriter inner) : TextWriter
    {
        private int blanks;

        public override Encoding Encoding => inner.Encoding;

        public override void Write(char value)
        {
            if (value == ' ')
            {
                blanks++;
                return;
            }

            if (value is not ('\n' or '\r'))
            {
                inner.Write(new string(' ', blanks));
            }

            blanks = 0;
            inner.Write(value);
        }

        public override void Flush() => inner.Flush();
    }
}
