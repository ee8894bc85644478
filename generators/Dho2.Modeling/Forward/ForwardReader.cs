using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Dho2.Planning;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Operations;

namespace Dho2.Modeling;

/// <summary>
/// Reads the body of a forward or loss method, statement by statement, into operations in static single assignment form.
/// </summary>
internal sealed partial class ForwardReader
{
    private readonly ReadingContext context;
    private readonly ModuleScope scope;
    private readonly IMethodSymbol method;
    private readonly VariableTable variables;
    private readonly OperationBuilder operations;
    private readonly ExpressionReader expressions;
    private readonly ExpressionReader silent;
    private readonly List<StatementDescription> statements = [];
    private readonly List<StatementSource> sources = [];
    private readonly List<ConstantSource> constants = [];
    private readonly List<ISymbol> assigned = [];
    private List<int>? results;
    private bool returnsFromWithin;

    private ForwardReader(ReadingContext context, ModuleScope scope, IMethodSymbol method)
    {
        this.context = context;
        this.scope = scope;
        this.method = method;
        variables = new VariableTable(IsIdentifier);
        operations = new OperationBuilder(method.Parameters.Length);
        expressions = new ExpressionReader(context, scope, variables, operations);
        silent = new ExpressionReader(context, scope, variables);
    }

    /// <summary>Reads a method's body; null where it has none.</summary>
    /// <param name="context">The context.</param>
    /// <param name="scope">The module that the method belongs to.</param>
    /// <param name="method">The method.</param>
    public static ForwardReading? Read(ReadingContext context, ModuleScope scope, IMethodSymbol method)
    {
        if (method.DeclaringSyntaxReferences is not [{ } reference]
            || reference.GetSyntax(context.Cancellation) is not MethodDeclarationSyntax syntax
            || context.Operation(syntax) is not IMethodBodyOperation body
            || (body.BlockBody ?? body.ExpressionBody) is not { } block)
        {
            return null;
        }

        var reader = new ForwardReader(context, scope, method);
        for (int i = 0; i < method.Parameters.Length; i++)
        {
            reader.variables.Define(method.Parameters[i], new Definition(Argument.OfValue("", i), i));
        }

        reader.ReadBody(block.Operations, syntax);
        return reader.Finish(syntax);
    }

    private void ReadBody(ImmutableArray<IOperation> body, MethodDeclarationSyntax syntax)
    {
        foreach (IOperation statement in body)
        {
            if (results is not null)
            {
                // After a return that a decided condition leads to, nothing is reached.
                if (!returnsFromWithin)
                {
                    context.Report(ModelProblemKind.StatementNotSliced, statement.Syntax, "it stands after the return statement");
                }

                return;
            }

            ReadStatement(statement);
        }

        if (results is null && context.IsSliced && !context.HasErrors && !method.ReturnsVoid)
        {
            context.Report(ModelProblemKind.StatementNotSliced, syntax.Identifier, "the method does not end with a return statement");
        }
    }

    private void ReadStatement(IOperation statement)
    {
        if (statement is not IEmptyOperation && !TryUnfold(statement))
        {
            ReadSimple(statement);
        }
    }

    private void ReadSimple(IOperation statement)
    {
        var inspector = new StatementInspector(context, scope, silent);
        inspector.Inspect(statement);
        if (context.IsSliced)
        {
            operations.Statement = statements.Count;
        }

        operations.BeginStatement(context.IsSliced ? statement.Syntax.SpanStart : 0);
        IReadOnlyDictionary<ISymbol, int> before = variables.Snapshot();
        assigned.Clear();
        int values = operations.NextValue;
        int known = constants.Count;
        int declared = variables.Order.Count;
        bool pieces = inspector.IsPlain && inspector.Changed.All(v => context.Known.IsTensor(TypeOf(v)));
        if (pieces)
        {
            // What the statement's own text takes from before has to be there where the statement is: planning sees that of wholes only.
            pieces = ReadPlain(statement)
                && (statement is IReturnOperation || operations.NextValue == values || !operations.OwnReads.Any(r => r.Definition >= 0 && r.Definition < values));
        }
        else
        {
            ReadOpaque(statement, inspector);
        }

        VariableRead[] reads = operations.StatementReads
            .Where(read => read.Definition >= 0 ? read.Definition < values : ~read.Definition < known)
            .Distinct()
            .ToArray();
        VariableRead[] writes = variables.ChangedSince(before)
            .Select(variable => new VariableRead(variables.NameOf(variable), variables.Find(variable)!.Value.Number))
            .ToArray();
        statements.Add(new StatementDescription(Values(reads), Values(writes), pieces));
        if (context.IsSliced)
        {
            sources.Add(new StatementSource(
                context.Sources.Copy(statement.Syntax),
                FormOf(statement, pieces),
                variables.Order.Skip(declared).Select(variables.NameOf).ToEquatableArray(),
                reads.ToEquatableArray(),
                operations.OwnReads.Distinct().ToEquatableArray(),
                writes.ToEquatableArray(),
                assigned.Select(variables.NameOf).Distinct().ToEquatableArray(),
                statement is IUsingDeclarationOperation { Syntax: LocalDeclarationStatementSyntax local }
                    ? local.Declaration.SpanStart - local.SpanStart
                    : 0,
                Substitutions(statement)));
        }
    }

    private ForwardReading Finish(MethodDeclarationSyntax syntax)
    {
        SemanticModel semantics = context.Semantics(syntax.SyntaxTree);
        return new ForwardReading(
            operations.Operations.ToEquatableArray(),
            operations.Sources.ToEquatableArray(),
            statements.ToEquatableArray(),
            sources.ToEquatableArray(),
            (results ?? []).ToEquatableArray(),
            context.IsSliced
                ? variables.All
                    .Select(v => new VariableSource(v.Name, TypeText(TypeOf(v.Variable), semantics, syntax.ReturnType.SpanStart)))
                    .ToEquatableArray()
                : default,
            constants.ToEquatableArray());
    }

    private static EquatableArray<VariableValue> Values(IEnumerable<VariableRead> reads) =>
        reads.Where(read => read.Definition >= 0).Select(read => new VariableValue(read.Variable, read.Definition)).ToEquatableArray();

    private static StatementForm FormOf(IOperation statement, bool pieces) => statement switch
    {
        IReturnOperation { Syntax: ExpressionSyntax } => StatementForm.Expression,
        IReturnOperation => StatementForm.Return,
        IVariableDeclarationGroupOperation or IUsingDeclarationOperation => StatementForm.Declaration,
        _ => pieces ? StatementForm.Plain : StatementForm.Compound,
    };

    private static string TypeText(ITypeSymbol type, SemanticModel semantics, int position) =>
        type.WithNullableAnnotation(NullableAnnotation.NotAnnotated).ToMinimalDisplayString(semantics, position);

    private static ITypeSymbol TypeOf(ISymbol variable) => variable is ILocalSymbol local ? local.Type : ((IParameterSymbol)variable).Type;
}
