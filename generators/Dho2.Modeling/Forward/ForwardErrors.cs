using System;
using System.Collections.Generic;
using System.Linq;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Operations;

namespace Dho2.Modeling;

/// <summary>
/// Whether the compiler reports errors in a method, which would be reported again for its copy. To ask the compiler makes it
/// bind the whole body a second time, with every keystroke in any file: of the straight-line code that most models are,
/// the bound tree itself tells.
/// </summary>
internal static class ForwardErrors
{
    /// <summary>Whether a method has errors.</summary>
    public static bool In(ReadingContext context, IMethodSymbol method)
    {
        if (method.DeclaringSyntaxReferences is not [{ } reference]
            || reference.GetSyntax(context.Cancellation) is not MethodDeclarationSyntax syntax)
        {
            return false;
        }

        if (context.Operation(syntax) is not IMethodBodyOperation body)
        {
            return AreReported(context, syntax);
        }

        return body.Descendants().Any(IsWrong) || (!IsStraight(method, syntax, body) && AreReported(context, syntax));
    }

    /// <summary>Whether an operation stands for something that the compiler refused.</summary>
    public static bool IsWrong(IOperation operation) =>
        operation is IInvalidOperation
        || (operation is IConversionOperation { OperatorMethod: null } conversion
            && (!conversion.Conversion.Exists || (conversion.IsImplicit && !conversion.Conversion.IsImplicit)));

    private static bool AreReported(ReadingContext context, MethodDeclarationSyntax syntax) =>
        context.Semantics(syntax.SyntaxTree)
            .GetDiagnostics(syntax.Span, context.Cancellation)
            .Any(diagnostic => diagnostic.Severity == DiagnosticSeverity.Error);

    /// <summary>
    /// Whether nothing in a method can be wrong that its operations do not show: statements that assign, call and return
    /// one after the other, variables that have a value where they are declared, and no two names alike.
    /// </summary>
    private static bool IsStraight(IMethodSymbol method, MethodDeclarationSyntax syntax, IMethodBodyOperation body)
    {
        if (syntax.ContainsDiagnostics
            || method is not { IsOverride: true, OverriddenMethod: not null, IsAsync: false }
            || method.ContainingType.GetMembers(method.Name).Length > 1
            || (body.BlockBody ?? body.ExpressionBody) is not { Operations: { Length: > 0 } statements }
            || statements[statements.Length - 1] is not IReturnOperation { ReturnedValue: not null })
        {
            return false;
        }

        var declared = new HashSet<ISymbol>(method.Parameters, SymbolEqualityComparer.Default);
        var names = new HashSet<string>(method.Parameters.Select(parameter => parameter.Name), StringComparer.Ordinal);
        foreach (IOperation statement in statements)
        {
            foreach (IOperation operation in statement.DescendantsAndSelf())
            {
                if (!IsPlain(operation) || (operation is ILocalReferenceOperation { IsDeclaration: false } use && !declared.Contains(use.Local)))
                {
                    return false;
                }

                ISymbol? variable = operation switch
                {
                    IVariableDeclaratorOperation declarator => declarator.Symbol,
                    ILocalReferenceOperation { IsDeclaration: true } declaration => declaration.Local,
                    _ => null,
                };
                if (variable is not null && !(declared.Add(variable) && names.Add(variable.Name)))
                {
                    return false;
                }
            }
        }

        return true;
    }

    private static bool IsPlain(IOperation operation) => operation switch
    {
        IExpressionStatementOperation statement => statement.Operation is IInvocationOperation or IDeconstructionAssignmentOperation
            or ISimpleAssignmentOperation { IsRef: false } or ICompoundAssignmentOperation,
        ISimpleAssignmentOperation or ICompoundAssignmentOperation => ((IAssignmentOperation)operation).Target switch
        {
            ILocalReferenceOperation { Local: { IsConst: false, IsUsing: false, IsForEach: false, RefKind: RefKind.None } } => true,
            IParameterReferenceOperation { Parameter.RefKind: RefKind.None } => true,
            IDiscardOperation => true,
            _ => false,
        },
        IVariableDeclaratorOperation declarator => declarator.Symbol is { IsConst: false, RefKind: RefKind.None } && declarator.Initializer is not null,
        IArgumentOperation argument => argument.Parameter?.RefKind is null or RefKind.None or RefKind.In,
        IInvocationOperation call => call.TargetMethod.MethodKind is MethodKind.Ordinary or MethodKind.ReducedExtension,
        IConversionOperation or IReturnOperation or IVariableDeclarationGroupOperation or IVariableDeclarationOperation or IVariableInitializerOperation
            or IDeconstructionAssignmentOperation or IDeclarationExpressionOperation or ITupleOperation or IDiscardOperation
            or ILocalReferenceOperation or IParameterReferenceOperation or IFieldReferenceOperation or IPropertyReferenceOperation
            or IInstanceReferenceOperation or ILiteralOperation or IBinaryOperation or IUnaryOperation or IArrayCreationOperation
            or IArrayInitializerOperation or IArrayElementReferenceOperation or IDefaultValueOperation or ICollectionExpressionOperation
            or IImplicitIndexerReferenceOperation or IRangeOperation => true,
        _ => false,
    };
}
