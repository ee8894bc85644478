using System;
using System.Text;

namespace Dho2.Generators;

/// <summary>Writes indented C# with <c>\n</c> as line end.</summary>
internal sealed class CodeWriter
{
    private const int IndentSize = 4;
    private readonly StringBuilder text = new();
    private int level;

    /// <summary>The column of the next line's first character.</summary>
    public int Indent => level * IndentSize;

    /// <summary>Writes a line at the present indentation; an empty one without any.</summary>
    public CodeWriter Line(string line = "")
    {
        if (line.Length > 0)
        {
            text.Append(' ', Indent).Append(line);
        }

        text.Append('\n');
        return this;
    }

    /// <summary>Writes several lines, each at the present indentation.</summary>
    public CodeWriter Lines(string lines)
    {
        foreach (string line in lines.Replace("\r\n", "\n").Split('\n'))
        {
            Line(line);
        }

        return this;
    }

    /// <summary>Writes a line at the left margin, as directives and verbatim continuation lines are.</summary>
    public CodeWriter Verbatim(string line)
    {
        text.Append(line).Append('\n');
        return this;
    }

    /// <summary>Writes an opening brace, and a closing one when disposed.</summary>
    public Block Braces(string? header = null, string end = "}")
    {
        if (header is not null)
        {
            Line(header);
        }

        Line("{");
        level++;
        return new Block(this, end);
    }

    /// <summary>Indents what follows until disposed.</summary>
    public Block Indented()
    {
        level++;
        return new Block(this, null);
    }

    /// <inheritdoc/>
    public override string ToString() => text.ToString();

    /// <summary>Ends a block.</summary>
    public readonly struct Block(CodeWriter writer, string? end) : IDisposable
    {
        /// <inheritdoc/>
        public void Dispose()
        {
            writer.level--;
            if (end is not null)
            {
                writer.Line(end);
            }
        }
    }
}
