using Dho2.Planning;

namespace Dho2.Modeling;

/// <summary>
/// Where a model stands in its source and what is copied from there. Nothing but the printing of copied statements and
/// the placing of diagnostics depends on it.
/// </summary>
/// <param name="Files">The files that texts were taken from.</param>
/// <param name="ForwardFile">The file of <c>forward</c>, as an index into <paramref name="Files"/>.</param>
/// <param name="Class">The class's name.</param>
/// <param name="Forward">The name of <c>forward</c>, or of the class where there is none.</param>
/// <param name="IsUnsafe">Whether <c>forward</c> is in an unsafe context.</param>
/// <param name="Layers">For each layer of the description, where it stands.</param>
/// <param name="Operations">For each operation of the description, where it stands in its statement.</param>
/// <param name="Statements">For each statement of the description, its text.</param>
/// <param name="Variables">The variables of <c>forward</c>, in order of declaration.</param>
/// <param name="Constants">Definitions of variables by values that are known at compile time: repeated wherever needed, never carried.</param>
/// <param name="Members">Instance members with constant values that <c>forward</c> or layer initialisers use.</param>
/// <param name="Options">Where attributes state numbers.</param>
/// <param name="Inputs">For each input, its parameter.</param>
/// <param name="Targets">For each target, its parameter.</param>
/// <param name="LossOperations">For each operation of <c>Loss</c>, its place.</param>
/// <param name="Identifiers">All identifiers in the class's source, ordered, so that made-up names can avoid them.</param>
public sealed record SourceMap(
    EquatableArray<SourceFile> Files,
    int ForwardFile,
    SourceSpan Class,
    SourceSpan Forward,
    bool IsUnsafe,
    EquatableArray<LayerSource> Layers,
    EquatableArray<OperationSource> Operations,
    EquatableArray<StatementSource> Statements,
    EquatableArray<VariableSource> Variables,
    EquatableArray<ConstantSource> Constants,
    EquatableArray<MemberSource> Members,
    EquatableArray<OptionSource> Options,
    EquatableArray<SourceSpan> Inputs,
    EquatableArray<SourceSpan> Targets,
    EquatableArray<SourceSpan> LossOperations,
    EquatableArray<string> Identifiers);

/// <summary>A file that texts are copied from, with the directives that give their names meaning.</summary>
/// <param name="Path">The path, through the compilation's path map.</param>
/// <param name="Usings">The extern aliases and using directives outside all namespaces, one text each.</param>
/// <param name="Namespaces">The namespace declarations around the class, outermost first.</param>
public sealed record SourceFile(string Path, EquatableArray<string> Usings, EquatableArray<NamespaceSource> Namespaces);

/// <summary>One namespace declaration around the class.</summary>
/// <param name="Name">Its name as written.</param>
/// <param name="Usings">The extern aliases and using directives in it.</param>
public sealed record NamespaceSource(string Name, EquatableArray<string> Usings);

/// <summary>A place in a file; lines and columns are counted from 0.</summary>
/// <param name="File">The file, as an index into <see cref="SourceMap.Files"/>.</param>
/// <param name="Start">The offset of the first character.</param>
/// <param name="Length">The number of characters.</param>
/// <param name="StartLine">The line of the first character.</param>
/// <param name="StartColumn">The column of the first character.</param>
/// <param name="EndLine">The line after the last character.</param>
/// <param name="EndColumn">The column after the last character.</param>
public readonly record struct SourceSpan(int File, int Start, int Length, int StartLine, int StartColumn, int EndLine, int EndColumn);

/// <summary>A text taken from a file; directives and inactive code in it are blanked out.</summary>
/// <param name="Span">Its place.</param>
/// <param name="Text">The text, as long as the place.</param>
public sealed record CopiedText(SourceSpan Span, string Text);

/// <summary>A layer's place and what creates it.</summary>
/// <param name="Member">The field or property that holds it; for an element of a list, the field that holds it in a stage.</param>
/// <param name="Declaration">The place of the member's name.</param>
/// <param name="TypeText">The declared type as it can be written in the layer's file.</param>
/// <param name="Initialiser">The expression that creates it; null where none was found.</param>
/// <param name="Constants">Variables of the constructor that the expression reads, with their values.</param>
/// <param name="UsesMembers">Whether the expression reads instance members with constant values.</param>
/// <param name="IsParameter">Whether it is a <c>Parameter</c> and not a module.</param>
/// <param name="Element">For an element of a list of layers: its place in it; -1 for a single layer.</param>
public sealed record LayerSource(
    string Member,
    SourceSpan Declaration,
    string TypeText,
    CopiedText? Initialiser,
    EquatableArray<ConstantSource> Constants,
    bool UsesMembers,
    bool IsParameter,
    int Element = -1);

/// <summary>An operation's place in its statement.</summary>
/// <param name="Start">Offset within the statement's text; -1 where the operation has no text of its own.</param>
/// <param name="Length">The number of characters.</param>
/// <param name="Reads">Variables read by the operation's own text, outside the operations nested in it.</param>
/// <param name="InPlace">The value whose tensor the operation changes in place, or -1.</param>
public sealed record OperationSource(int Start, int Length, EquatableArray<VariableRead> Reads, int InPlace);

/// <summary>A variable read and where its value comes from.</summary>
/// <param name="Variable">The variable.</param>
/// <param name="Definition">A value's number, or the complement of an index into <see cref="SourceMap.Constants"/>.</param>
public readonly record struct VariableRead(string Variable, int Definition);

/// <summary>The form of a statement.</summary>
public enum StatementForm
{
    /// <summary>An assignment or a call.</summary>
    Plain,

    /// <summary>A declaration of local variables.</summary>
    Declaration,

    /// <summary>A return statement.</summary>
    Return,

    /// <summary>The expression of an expression-bodied method: printed as a return statement.</summary>
    Expression,

    /// <summary>Anything that is copied as a whole.</summary>
    Compound,
}

/// <summary>A statement's text and variables, constants included.</summary>
/// <param name="Text">The text.</param>
/// <param name="Form">The form.</param>
/// <param name="Declares">The variables of <c>forward</c>'s own scope that it declares.</param>
/// <param name="Reads">Variables read from earlier statements.</param>
/// <param name="OwnReads">The reads that belong to no operation: those of the statement's own text.</param>
/// <param name="Writes">Variables that hold something new afterwards.</param>
/// <param name="Assigns">The variables among <paramref name="Writes"/> that the text assigns; the others name a tensor that it changes.</param>
/// <param name="UsingLength">Characters of a leading <c>using</c> of a declaration, spaces included; 0 where there is none.</param>
/// <param name="Substitutions">Parts of the text in whose place something else stands in stages, in order; they do not overlap.</param>
public sealed record StatementSource(
    CopiedText Text,
    StatementForm Form,
    EquatableArray<string> Declares,
    EquatableArray<VariableRead> Reads,
    EquatableArray<VariableRead> OwnReads,
    EquatableArray<VariableRead> Writes,
    EquatableArray<string> Assigns,
    int UsingLength,
    EquatableArray<Substitution> Substitutions = default);

/// <summary>A part of a statement's text that stages write otherwise: an element of a list of layers, a variable of one round of a loop, what is decided at compile time.</summary>
/// <param name="Start">Offset within the statement's text.</param>
/// <param name="Length">The number of characters.</param>
/// <param name="Text">What stands there instead.</param>
public sealed record Substitution(int Start, int Length, string Text);

/// <summary>A variable of <c>forward</c>.</summary>
/// <param name="Name">Its name.</param>
/// <param name="TypeText">Its type as it can be written in the file of <c>forward</c>.</param>
public sealed record VariableSource(string Name, string TypeText);

/// <summary>A definition of a variable by a value that is known at compile time.</summary>
/// <param name="Variable">The variable.</param>
/// <param name="TypeText">The variable's type, with <c>global::</c> names.</param>
/// <param name="ValueText">The value as a C# expression.</param>
public sealed record ConstantSource(string Variable, string TypeText, string ValueText);

/// <summary>An instance member with a constant value that a stage repeats.</summary>
/// <param name="Name">Its name.</param>
/// <param name="TypeText">Its type with <c>global::</c> names.</param>
/// <param name="ValueText">Its value as a C# expression.</param>
public sealed record MemberSource(string Name, string TypeText, string ValueText);

/// <summary>Where an attribute, or a number in it, stands.</summary>
/// <param name="Name">The attribute, such as <c>Curvature</c>, or its property, such as <c>Curvature.Rank</c>.</param>
/// <param name="Span">The place.</param>
public sealed record OptionSource(string Name, SourceSpan Span);
