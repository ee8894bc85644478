using System.Collections.Generic;
using System.Linq;
using System.Text;
using Dho2.Modeling;

namespace Dho2.Generators;

/// <summary>Prints copied text under <c>#line</c> directives, so that debuggers and stack traces show the user's file.</summary>
internal sealed class CopyPrinter(CodeWriter writer, SourceMap source)
{
    /// <summary>Prints a stage's lines; warnings are off where text is copied, since the original has reported them.</summary>
    public void Print(IReadOnlyList<StageLine> lines)
    {
        int last = lines.Count - 1;
        while (last >= 0 && lines[last] is MadeLine)
        {
            last--;
        }

        bool isMapped = false;
        for (int i = 0; i < lines.Count; i++)
        {
            if (lines[i] is CopiedLine copied)
            {
                if (!lines.Take(i).OfType<CopiedLine>().Any())
                {
                    writer.Verbatim("#pragma warning disable");
                }

                Print(copied);
                isMapped = true;
            }
            else
            {
                Hide(ref isMapped);
                writer.Line(((MadeLine)lines[i]).Text);
            }

            if (i == last)
            {
                Hide(ref isMapped);
                writer.Verbatim("#pragma warning restore");
            }
        }
    }

    /// <summary>Prints an expression on lines of its own; the caller has turned warnings off.</summary>
    public void Print(CopiedText text)
    {
        Print(new CopiedLine("", text, 0, text.Text.Length, [], ""));
        writer.Verbatim("#line hidden");
    }

    private void Hide(ref bool isMapped)
    {
        if (isMapped)
        {
            writer.Verbatim("#line hidden");
            isMapped = false;
        }
    }

    private void Print(CopiedLine line)
    {
        int start = line.Start;
        string prefix = new string(' ', writer.Indent) + line.Prefix;
        foreach (Replacement replacement in line.Replacements)
        {
            // Lines after a replaced text of several lines would be off: what follows it is mapped anew.
            if (line.Text.Text.IndexOf('\n', replacement.Start, replacement.Length) >= 0)
            {
                Part(line, start, replacement.Start, prefix, replacement.Text);
                start = replacement.Start + replacement.Length;
                while (start < line.Start + line.Length && char.IsWhiteSpace(line.Text.Text[start]))
                {
                    start++;
                }

                prefix = new string(' ', writer.Indent);
            }
        }

        Part(line, start, line.Start + line.Length, prefix, line.Suffix);
    }

    private void Part(CopiedLine line, int start, int end, string prefix, string suffix)
    {
        var text = new StringBuilder();
        int at = start;
        foreach (Replacement replacement in line.Replacements.Where(r => r.Start >= start && r.Start + r.Length <= end))
        {
            text.Append(line.Text.Text, at, replacement.Start - at).Append(replacement.Text);
            at = replacement.Start + replacement.Length;
        }

        text.Append(line.Text.Text, at, end - at);
        if (end > start)
        {
            writer.Verbatim(Directive(line.Text, start, end, prefix.Length));
        }

        writer.Verbatim((prefix + text.Replace("\r\n", "\n") + suffix).TrimEnd(' '));
    }

    private string Directive(CopiedText text, int start, int end, int offset)
    {
        string path = source.Files[text.Span.File].Path;
        if (path.Length == 0 || path.Contains("\""))
        {
            return "#line hidden";
        }

        (int startLine, int startColumn) = Position(text, start);
        (int endLine, int endColumn) = Position(text, end);
        return $"#line ({startLine + 1}, {startColumn + 1}) - ({endLine + 1}, {endColumn + 1}) {offset} \"{path}\"";
    }

    private static (int Line, int Column) Position(CopiedText text, int offset)
    {
        int line = text.Span.StartLine;
        int column = text.Span.StartColumn + offset;
        for (int i = 0; i < offset; i++)
        {
            if (text.Text[i] == '\n')
            {
                line++;
                column = offset - i - 1;
            }
        }

        return (line, column);
    }
}
