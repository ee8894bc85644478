using System.Collections.Generic;
using System.Linq;
using Dho2.Planning;
using Microsoft.CodeAnalysis;

namespace Dho2.Modeling;

/// <summary>Collects the operations of one method body, and for each the variables that its own text reads.</summary>
internal sealed class OperationBuilder(int inputs)
{
    private readonly Stack<List<VariableRead>> frames = new(new[] { new List<VariableRead>() });
    private readonly List<Operation> operations = [];
    private readonly List<OperationSource> sources = [];
    private int statementStart;

    /// <summary>The statement that operations belong to from now on; -1 in a module's body.</summary>
    public int Statement { get; set; } = -1;

    /// <summary>The number that the next operation's value gets.</summary>
    public int NextValue => inputs + operations.Count;

    public IReadOnlyList<Operation> Operations => operations;

    public IReadOnlyList<OperationSource> Sources => sources;

    /// <summary>Reads since the present statement began, in order.</summary>
    public List<VariableRead> StatementReads { get; } = [];

    /// <summary>Those among them that belong to no operation.</summary>
    public IReadOnlyList<VariableRead> OwnReads => frames.Peek();

    /// <summary>Begins a statement; operations are placed relative to an offset of its file.</summary>
    public void BeginStatement(int start)
    {
        statementStart = start;
        StatementReads.Clear();
        frames.Peek().Clear();
    }

    public void Read(string variable, int definition)
    {
        frames.Peek().Add(new VariableRead(variable, definition));
        StatementReads.Add(new VariableRead(variable, definition));
    }

    public void Enter() => frames.Push([]);

    /// <summary>Ends a nested expression that is no operation: its reads are its parent's.</summary>
    public void Leave()
    {
        List<VariableRead> reads = frames.Pop();
        frames.Peek().AddRange(reads);
    }

    /// <summary>Ends a nested expression that is an operation.</summary>
    public int Leave(string name, IEnumerable<Argument> arguments, int layer, string typeName, SyntaxNode syntax, int inPlace = -1) =>
        Add(name, arguments, layer, typeName, syntax.SpanStart - statementStart, syntax.Span.Length, frames.Pop(), inPlace);

    /// <summary>Adds an operation without a text of its own.</summary>
    public int Add(string name, IEnumerable<Argument> arguments, int layer, string typeName) =>
        Add(name, arguments, layer, typeName, -1, 0, [], -1);

    private int Add(
        string name, IEnumerable<Argument> arguments, int layer, string typeName, int start, int length, List<VariableRead> reads, int inPlace)
    {
        operations.Add(new Operation(name, arguments.ToEquatableArray(), layer, Statement, typeName));
        sources.Add(new OperationSource(start, length, reads.Distinct().ToEquatableArray(), inPlace));
        return NextValue - 1;
    }
}
