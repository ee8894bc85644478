using System;
using System.Collections.Generic;
using System.Linq;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Operations;

namespace Dho2.Modeling;

/// <summary>
/// Looks through one statement of a forward method: whether it is plain enough to be cut at its operations, which layers
/// it uses, and what in it a stage cannot do.
/// </summary>
internal sealed class StatementInspector(ReadingContext context, ModuleScope scope, ExpressionReader expressions)
{
    /// <summary>Whether the statement is a plain declaration, assignment, call or return.</summary>
    public bool IsPlain { get; private set; } = true;

    /// <summary>The layers used, by index.</summary>
    public SortedSet<int> Layers { get; } = [];

    /// <summary>Variables whose tensor or array the statement changes in place.</summary>
    public HashSet<ISymbol> Changed { get; } = new(SymbolEqualityComparer.Default);

    public void Inspect(IOperation statement)
    {
        foreach (IOperation operation in Taken(statement, expressions))
        {
            context.Cancellation.ThrowIfCancellationRequested();
            Inspect(operation, statement);
        }
    }

    /// <summary>
    /// An operation and all within it, without what is decided at compile time: conditions and branches that are not
    /// taken, and the insides of what names a layer of a list.
    /// </summary>
    public static IEnumerable<IOperation> Taken(IOperation operation, ExpressionReader expressions)
    {
        if (expressions.ChosenBranch(operation) is { } branch)
        {
            return Taken(branch, expressions);
        }

        if (operation is IConditionalAccessOperation { WhenNotNull: IInvocationOperation { Instance: IConditionalAccessInstanceOperation } } access
            && expressions.IsNull(access.Operation) == false)
        {
            return Taken(access.Operation, expressions).Concat(Taken(access.WhenNotNull, expressions));
        }

        if (expressions.ElementOf(operation) >= 0 || expressions.CountOf(operation) is not null)
        {
            return [operation];
        }

        return new[] { operation }.Concat(operation.ChildOperations.SelectMany(child => Taken(child, expressions)));
    }

    private void Inspect(IOperation operation, IOperation statement)
    {
        if (expressions.ElementOf(operation) is var element and >= 0)
        {
            Layers.Add(element);
            InspectDropout(operation);
            return;
        }

        if (expressions.CountOf(operation) is not null)
        {
            return;
        }

        switch (operation)
        {
            case IInvalidOperation:
                context.HasErrors = true;
                break;
            case IInstanceReferenceOperation { ReferenceKind: InstanceReferenceKind.ContainingTypeInstance } instance:
                InspectInstance(instance);
                break;
            case IReturnOperation when operation != statement && !IsInFunction(operation, statement):
                Refuse(operation, "it returns from within; forward may return at its end only");
                break;
            case ILabeledOperation or IBranchOperation { BranchKind: BranchKind.GoTo }:
                Refuse(operation, "it jumps");
                break;
            case IAwaitOperation or IReturnOperation { Kind: OperationKind.YieldReturn or OperationKind.YieldBreak }:
                Refuse(operation, "stages are not asynchronous");
                break;
            case IUsingDeclarationOperation { DeclarationGroup: var group } when !IsTensorDeclaration(group):
                Refuse(operation, "what it opens would have to stay open in the following stages too");
                break;
            case IInvocationOperation call:
                InspectCall(call);
                break;
            case IAssignmentOperation assignment:
                InspectAssignment(assignment, statement);
                break;
        }

        InspectFileLocal(operation);
        IsPlain &= IsPlainKind(operation);
    }

    private void InspectInstance(IInstanceReferenceOperation instance)
    {
        switch (instance.Parent)
        {
            case IMemberReferenceOperation member when scope.Layers.TryGetValue(member.Member, out int layer):
                Layers.Add(layer);
                InspectDropout(member);
                break;
            case IMemberReferenceOperation member when scope.IsRepeatable(member.Member, member.Type):
                scope.UsedMembers.Add(member.Member);
                break;
            case IMemberReferenceOperation member when scope.Lists.ContainsKey(member.Member):
                context.Report(
                    ModelProblemKind.InstanceMember, member.Syntax, member.Member.Name, "take its elements in a loop over it, or by an index that is known at compile time");
                break;
            case IMemberReferenceOperation member:
                context.Report(ModelProblemKind.InstanceMember, member.Syntax, member.Member.Name, MemberAdvice(member.Member));
                break;
            case IInvocationOperation call:
                context.Report(
                    ModelProblemKind.InstanceMember, call.Syntax, call.TargetMethod.Name, "make the method static, or a module class of its own");
                break;
            default:
                context.Report(ModelProblemKind.InstanceMember, instance.Syntax, "this", "pass on what is needed of it");
                break;
        }
    }

    /// <summary>A stage holds its own kind of dropout, which cannot be passed on as TorchSharp's.</summary>
    private void InspectDropout(IOperation layer)
    {
        if (context.Known.IsDropout(layer.Type) && layer.Parent is not (IInvocationOperation or IMemberReferenceOperation or IConditionalAccessOperation))
        {
            context.Report(ModelProblemKind.InstanceMember, layer.Syntax, layer.Syntax.ToString(), "a dropout layer of a stage can only be called");
        }
    }

    private void InspectCall(IInvocationOperation call)
    {
        IMethodSymbol method = call.TargetMethod;
        bool isTorch = KnownSymbols.IsTorchSharp(method);
        if (isTorch && method.Name.Contains("dropout") && !IsOff(call))
        {
            context.Report(ModelProblemKind.PartitionDependentRandomness, call.Syntax, method.Name);
        }

        if (isTorch && method.Name.EndsWith("_", StringComparison.Ordinal) && context.Known.IsTensor(method.ContainingType)
            && VariableOf(call.Instance) is { } receiver)
        {
            Changed.Add(receiver);
        }
    }

    private void InspectAssignment(IAssignmentOperation assignment, IOperation statement)
    {
        bool isRoot = assignment.Parent == statement || assignment == statement;
        IsPlain &= isRoot && assignment switch
        {
            ISimpleAssignmentOperation { IsRef: false } simple =>
                simple.Target is ILocalReferenceOperation or IParameterReferenceOperation or IDiscardOperation,
            ICompoundAssignmentOperation compound => compound.Target is ILocalReferenceOperation or IParameterReferenceOperation,
            IDeconstructionAssignmentOperation tuple => tuple.Value.Type is { IsTupleType: true } && DeconstructionTargets(tuple) is not null,
            _ => false,
        };
        if (assignment.Target is IArrayElementReferenceOperation or IPropertyReferenceOperation { Property.IsIndexer: true }
            && VariableOf(assignment.Target.ChildOperations.First()) is { } changed)
        {
            Changed.Add(changed);
        }
    }

    /// <summary>The variables that a deconstruction assigns, null for a discard; null where a target is anything else.</summary>
    internal static IReadOnlyList<ISymbol?>? DeconstructionTargets(IDeconstructionAssignmentOperation assignment)
    {
        IOperation target = assignment.Target is IDeclarationExpressionOperation declaration ? declaration.Expression : assignment.Target;
        if (target is not ITupleOperation tuple)
        {
            return null;
        }

        var targets = new List<ISymbol?>();
        foreach (IOperation element in tuple.Elements)
        {
            IOperation variable = element is IDeclarationExpressionOperation single ? single.Expression : element;
            if (variable is not IDiscardOperation && VariableOf(variable) is null)
            {
                return null;
            }

            targets.Add(VariableOf(variable));
        }

        return targets;
    }

    private void InspectFileLocal(IOperation operation)
    {
        if (FileLocalTypes.UsedBy(operation) is { } type)
        {
            Refuse(operation, $"'{type.Name}' is local to its file and cannot be used from generated code");
        }
    }

    private void Refuse(IOperation operation, string reason) => context.Report(ModelProblemKind.StatementNotSliced, operation.Syntax, reason);

    private bool IsTensorDeclaration(IVariableDeclarationGroupOperation group) =>
        group.Declarations.SelectMany(d => d.Declarators).All(d => context.Known.IsTensor(d.Symbol.Type));

    private static string MemberAdvice(ISymbol member) => member.Name == "training" && KnownSymbols.IsTorchSharp(member)
        ? "what differs between training and evaluation belongs into a layer"
        : member is IFieldSymbol { Type.Name: "Tensor" } or IPropertySymbol { Type.Name: "Tensor" }
        ? "make it a Parameter, or compute it in forward"
        : "make it const or static readonly, or give it a value that is known at compile time";

    private static bool IsOff(IInvocationOperation call) =>
        call.Arguments.Any(a => a.Parameter?.Name is "training" or "train" && a.Value.ConstantValue is { HasValue: true, Value: false });

    private static ISymbol? VariableOf(IOperation? operation) => operation switch
    {
        ILocalReferenceOperation local => local.Local,
        IParameterReferenceOperation parameter => parameter.Parameter,
        IConversionOperation conversion => VariableOf(conversion.Operand),
        _ => null,
    };

    private static bool IsInFunction(IOperation operation, IOperation statement)
    {
        for (IOperation? parent = operation.Parent; parent is not null && parent != statement.Parent; parent = parent.Parent)
        {
            if (parent is IAnonymousFunctionOperation or ILocalFunctionOperation)
            {
                return true;
            }
        }

        return false;
    }

    private static bool IsPlainKind(IOperation operation) => operation switch
    {
        IArgumentOperation argument => argument.Parameter?.RefKind is not (RefKind.Ref or RefKind.Out),
        IObjectCreationOperation creation => creation.Initializer is null,
        IBinaryOperation binary => binary.OperatorKind is not (BinaryOperatorKind.ConditionalAnd or BinaryOperatorKind.ConditionalOr)
            || binary.ConstantValue.HasValue,
        ILocalReferenceOperation local => !local.IsDeclaration || local.Parent is IDeclarationExpressionOperation or ITupleOperation,
        IDeclarationExpressionOperation => operation.Syntax.FirstAncestorOrSelf<StatementSyntax>() is ExpressionStatementSyntax,
        IVariableDeclaratorOperation declarator => declarator.Symbol.RefKind == RefKind.None,
        IInvocationOperation call => call.TargetMethod.MethodKind is not (MethodKind.DelegateInvoke or MethodKind.LocalFunction)
            && !call.TargetMethod.ReturnsByRef && !call.TargetMethod.ReturnsByRefReadonly,
        _ => operation.Kind is OperationKind.Literal or OperationKind.ParameterReference or OperationKind.FieldReference
            or OperationKind.PropertyReference or OperationKind.Unary or OperationKind.Conversion or OperationKind.Tuple
            or OperationKind.ArrayCreation or OperationKind.ArrayInitializer or OperationKind.ArrayElementReference
            or OperationKind.CollectionExpression or OperationKind.DefaultValue or OperationKind.TypeOf or OperationKind.NameOf
            or OperationKind.InstanceReference or OperationKind.Range or OperationKind.ImplicitIndexerReference
            or OperationKind.InterpolatedString or OperationKind.InterpolatedStringText or OperationKind.Interpolation
            or OperationKind.Discard or OperationKind.SizeOf or OperationKind.ConditionalAccessInstance or OperationKind.VariableDeclarationGroup
            or OperationKind.VariableDeclaration or OperationKind.VariableInitializer or OperationKind.ExpressionStatement
            or OperationKind.Return or OperationKind.SimpleAssignment or OperationKind.CompoundAssignment
            or OperationKind.DeconstructionAssignment or OperationKind.UsingDeclaration or OperationKind.Invalid,
    };
}
