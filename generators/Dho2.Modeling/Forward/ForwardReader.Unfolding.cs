using System.Collections.Generic;
using System.Linq;
using Dho2.Planning;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Operations;
using ArgumentKind = Dho2.Planning.ArgumentKind;

namespace Dho2.Modeling;

/// <content>
/// Unfolds what is decided at compile time: loops over lists of layers round by round, conditions by their branch, blocks
/// by their statements. Each statement then stands by itself, and may be on a stage of its own.
/// </content>
internal sealed partial class ForwardReader
{
    private HashSet<string>? identifiers;

    private bool TryUnfold(IOperation statement)
    {
        switch (statement)
        {
            case IBlockOperation block:
                ReadWithin(block.Operations);
                return true;
            case IConditionalOperation { Type: null } choice when silent.Decide(choice.Condition) is { } holds:
                ReadWithin((holds ? choice.WhenTrue : choice.WhenFalse) is { } branch ? [branch] : []);
                return true;
            case IForEachLoopOperation loop when IsUnrolled(loop):
                return TryUnroll(loop);
            case IForLoopOperation loop when IsUnrolled(loop):
                return TryUnroll(loop);
            case IVariableDeclarationGroupOperation { Declarations: [{ Declarators: [{ Symbol: var variable, Initializer.Value: var value }] }] }
                when context.Known.IsModule(variable.Type) && silent.LayerOf(value) is var layer and >= 0 && IsWholeLayer(value):
                scope.Aliases[variable] = layer;
                return true;
            default:
                return false;
        }
    }

    private void ReadWithin(IEnumerable<IOperation> statements)
    {
        foreach (IOperation statement in statements)
        {
            if (results is not null)
            {
                returnsFromWithin = true;
                return;
            }

            ReadStatement(statement);
        }

        returnsFromWithin |= results is not null;
    }

    private bool IsWholeLayer(IOperation value) =>
        CreationReader.Unwrap(value) is IMemberReferenceOperation { Instance: IInstanceReferenceOperation } || silent.ElementOf(CreationReader.Unwrap(value)) >= 0;

    /// <summary>
    /// Whether a loop is worth unrolling: inside a module always, in what is sliced where it takes layers from a list; any
    /// other loop stays a loop, on one stage.
    /// </summary>
    private bool IsUnrolled(ILoopOperation loop) =>
        !LeavesEarly(loop.Body) && (!context.IsSliced || loop.Descendants().Any(operation =>
            operation is IMemberReferenceOperation { Instance: IInstanceReferenceOperation } member && scope.Lists.ContainsKey(member.Member)));

    private static bool LeavesEarly(IOperation body) => body.DescendantsAndSelf().Any(operation => operation is IBranchOperation);

    private bool TryUnroll(IForEachLoopOperation loop)
    {
        if (loop.LoopControlVariable is not IVariableDeclaratorOperation { Symbol: var variable })
        {
            return false;
        }

        if (silent.LayersOf(loop.Collection) is { } layers)
        {
            if (!MayRun(layers.Count))
            {
                return false;
            }

            foreach (int layer in layers)
            {
                BeginRound(loop);
                scope.Aliases[variable] = layer;
                ReadWithin([loop.Body]);
            }

            scope.Aliases.Remove(variable);
            return true;
        }

        if (silent.Read(loop.Collection) is not { Kind: ArgumentKind.List } values || !values.IsKnown() || values.Items.Count > ReadingBudget.MaximalRounds
            || values.Items.Any(value => ConstantText.Write(value, variable.Type) is null)
            || !MayRun(values.Items.Count))
        {
            return false;
        }

        foreach (Argument value in values.Items)
        {
            BeginRound(loop);
            variables.Forget(variable);
            Define(variable, value with { Name = "" });
            ReadWithin([loop.Body]);
        }

        variables.Forget(variable);
        return true;
    }

    private bool TryUnroll(IForLoopOperation loop)
    {
        if (loop.Before is not [IVariableDeclarationGroupOperation { Declarations: [{ Declarators: [{ Symbol: var variable, Initializer.Value: var first }] }] }]
            || Values(loop, variable, silent.Read(first)) is not { } values
            || !MayRun(values.Count))
        {
            return false;
        }

        foreach (Argument value in values)
        {
            BeginRound(loop);
            variables.Forget(variable);
            Define(variable, value);
            ReadWithin([loop.Body]);
        }

        variables.Forget(variable);
        return true;
    }

    /// <summary>The values that a loop's variable takes, one for each round; null where they are not known.</summary>
    private List<Argument>? Values(IForLoopOperation loop, ILocalSymbol variable, Argument first)
    {
        var values = new List<Argument>();
        if (loop.Condition is null || loop.AtLoopBottom is not [IExpressionStatementOperation { Operation: var step }] || IsAssigned(variable, loop.Body))
        {
            return null;
        }

        Argument value = first;
        while (values.Count <= ReadingBudget.MaximalRounds)
        {
            if (value.Kind != ArgumentKind.Integer || ConstantText.Write(value, variable.Type) is null)
            {
                return null;
            }

            scope.Values[variable] = value;
            Argument condition = silent.Read(loop.Condition);
            Argument next = step switch
            {
                IIncrementOrDecrementOperation { Target: ILocalReferenceOperation target } change when Same(target.Local, variable) =>
                    ConstantFolding.Step(change, value),
                ICompoundAssignmentOperation { Target: ILocalReferenceOperation target } change when Same(target.Local, variable) =>
                    ConstantFolding.Binary(change.OperatorKind, value, silent.Read(change.Value)),
                _ => ConstantFolding.Unknown,
            };
            scope.Values.Remove(variable);
            if (condition.Kind != ArgumentKind.Boolean)
            {
                return null;
            }

            if (condition.Integer == 0)
            {
                return values;
            }

            values.Add(value);
            value = next;
        }

        return null;
    }

    private static bool IsAssigned(ILocalSymbol variable, IOperation body) => body.DescendantsAndSelf().Any(operation => operation switch
    {
        IAssignmentOperation { Target: ILocalReferenceOperation target } => Same(target.Local, variable),
        IIncrementOrDecrementOperation { Target: ILocalReferenceOperation target } => Same(target.Local, variable),
        IArgumentOperation { Parameter.RefKind: not RefKind.None, Value: ILocalReferenceOperation target } => Same(target.Local, variable),
        _ => false,
    });

    private static bool Same(ISymbol a, ISymbol b) => SymbolEqualityComparer.Default.Equals(a, b);

    /// <summary>Whether so many more rounds are within bounds; a loop that is not stays a loop.</summary>
    private bool MayRun(int rounds) => context.Budget.TryUnroll(rounds);

    /// <summary>Every round has variables of its own.</summary>
    private void BeginRound(ILoopOperation loop)
    {
        context.Cancellation.ThrowIfCancellationRequested();
        foreach (IOperation operation in loop.Body.DescendantsAndSelf())
        {
            ISymbol? variable = operation switch
            {
                IVariableDeclaratorOperation declarator => declarator.Symbol,
                ILocalReferenceOperation { IsDeclaration: true } local => local.Local,
                IDeclarationPatternOperation pattern => pattern.DeclaredSymbol,
                IRecursivePatternOperation pattern => pattern.DeclaredSymbol,
                _ => null,
            };
            if (variable is not null)
            {
                variables.Forget(variable);
                scope.Aliases.Remove(variable);
            }
        }
    }

    /// <summary>Whether a name occurs in the method: then a variable cannot get it.</summary>
    private bool IsIdentifier(string name)
    {
        identifiers ??= new HashSet<string>(method.DeclaringSyntaxReferences
            .SelectMany(reference => reference.GetSyntax(context.Cancellation).DescendantTokens())
            .Where(token => token.IsKind(SyntaxKind.IdentifierToken))
            .Select(token => token.ValueText));
        return identifiers.Contains(name);
    }

    /// <summary>The parts of a statement's text that stages write otherwise: names of layers and variables, and what is decided.</summary>
    private EquatableArray<Substitution> Substitutions(IOperation statement)
    {
        var found = new List<Substitution>();
        int start = statement.Syntax.SpanStart;
        Substitute(statement);
        Rename();
        return found
            .Where(part => !found.Any(other => other != part && other.Start <= part.Start && other.Start + other.Length >= part.Start + part.Length))
            .Distinct()
            .OrderBy(part => part.Start)
            .ToEquatableArray();

        void Substitute(IOperation operation)
        {
            if (silent.ChosenBranch(operation) is { } branch)
            {
                Cut(operation.Syntax.SpanStart, branch.Syntax.SpanStart);
                Substitute(branch);
                Cut(branch.Syntax.Span.End, operation.Syntax.Span.End);
            }
            else if (silent.ElementOf(operation) is var layer and >= 0)
            {
                Replace(operation.Syntax, scope.Fields[layer]);
            }
            else if (silent.CountOf(operation) is { } count)
            {
                Replace(operation.Syntax, count.ToString(System.Globalization.CultureInfo.InvariantCulture));
            }
            else
            {
                foreach (IOperation child in operation.ChildOperations)
                {
                    Substitute(child);
                }
            }
        }

        void Rename()
        {
            Dictionary<string, ISymbol> renamed = [];
            foreach (KeyValuePair<ISymbol, string> name in variables.Renamed)
            {
                renamed[name.Key.Name] = name.Key;
            }

            if (renamed.Count == 0)
            {
                return;
            }

            SemanticModel semantics = context.Semantics(statement.Syntax.SyntaxTree);
            foreach (SyntaxToken token in statement.Syntax.DescendantTokens().Where(token => renamed.ContainsKey(token.ValueText)))
            {
                ISymbol? symbol = token.Parent is IdentifierNameSyntax name
                    ? semantics.GetSymbolInfo(name, context.Cancellation).Symbol
                    : token.Parent is VariableDeclaratorSyntax or SingleVariableDesignationSyntax
                    ? semantics.GetDeclaredSymbol(token.Parent, context.Cancellation)
                    : null;
                if (symbol is not null && Same(symbol, renamed[token.ValueText]))
                {
                    found.Add(new Substitution(token.SpanStart - start, token.Span.Length, variables.NameOf(symbol)));
                }
            }
        }

        void Cut(int from, int to)
        {
            if (to > from)
            {
                found.Add(new Substitution(from - start, to - from, ""));
            }
        }

        void Replace(SyntaxNode syntax, string text) => found.Add(new Substitution(syntax.SpanStart - start, syntax.Span.Length, text));
    }
}
