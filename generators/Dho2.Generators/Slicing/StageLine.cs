using System.Collections.Generic;
using Dho2.Modeling;

namespace Dho2.Generators;

/// <summary>One line of a stage's forward method.</summary>
internal abstract record StageLine;

/// <summary>A line that the generator made.</summary>
/// <param name="Text">The line.</param>
internal sealed record MadeLine(string Text) : StageLine;

/// <summary>Text copied from the user's method.</summary>
/// <param name="Prefix">What stands before it on its first line.</param>
/// <param name="Text">The file's text that pieces are taken from.</param>
/// <param name="Start">Offset of the first copied character within it.</param>
/// <param name="Length">The number of copied characters.</param>
/// <param name="Replacements">Parts of it that other stages compute, in order.</param>
/// <param name="Suffix">What stands after it.</param>
internal sealed record CopiedLine(
    string Prefix, CopiedText Text, int Start, int Length, IReadOnlyList<Replacement> Replacements, string Suffix) : StageLine;

/// <summary>A part of a copied text in whose place something else stands.</summary>
/// <param name="Start">Offset within the whole text.</param>
/// <param name="Length">The number of characters.</param>
/// <param name="Text">What stands there instead.</param>
internal sealed record Replacement(int Start, int Length, string Text);
