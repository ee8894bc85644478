using System.Collections.Generic;
using System.Linq;
using Dho2.Planning;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Operations;

namespace Dho2.Modeling;

internal sealed partial class LayerReader
{
    /// <summary>Takes what a constructor assigns to a member.</summary>
    public void Assign(ISymbol member, IOperation value)
    {
        if (ComponentOf(member) is { } component)
        {
            Create(component, value);
        }
        else if (member is IFieldSymbol { IsReadOnly: true } or IPropertySymbol { SetMethod: null })
        {
            Scope.Values.Remove(member);
            SetValue(member, value);
        }
    }

    /// <summary>Takes down the name that a component is registered by.</summary>
    public void Register(IInvocationOperation call)
    {
        if (call.TargetMethod.Name is "register_module" or "register_parameter" or "register_buffer" or "add_module"
            && call.Arguments.Length >= 2
            && call.Arguments[0].Value.ConstantValue is { HasValue: true, Value: string name }
            && MemberOf(call.Arguments[1].Value) is { } member
            && ComponentOf(member) is { } component)
        {
            component.RegisteredName = name;
        }
    }

    /// <summary>A member that is assigned in a statement which was not understood.</summary>
    public void Refuse(ISymbol member, IOperation value)
    {
        if (ComponentOf(member) is { } component)
        {
            component.Creation ??= value;
            component.Created = null;
            component.Obstacle = "it is assigned in a statement that may or may not run";
        }
    }

    /// <summary>Makes what is known of a constructor's arguments known by its parameters.</summary>
    private void Bind(IMethodSymbol constructor, EquatableArray<Argument> arguments)
    {
        foreach (IParameterSymbol parameter in constructor.Parameters)
        {
            Argument? argument = arguments.FirstOrDefault(candidate => candidate.Name == parameter.Name);
            if (argument is null && parameter.HasExplicitDefaultValue)
            {
                argument = ConstantFolding.Of(parameter.ExplicitDefaultValue, parameter.Type);
            }

            if (argument?.IsKnown() == true)
            {
                Scope.Values[parameter] = argument with { Name = "" };
            }
        }
    }

    private void ReadConstructor(IMethodSymbol constructor)
    {
        if (constructor.DeclaringSyntaxReferences is not [{ } reference]
            || reference.GetSyntax(context.Cancellation) is not ConstructorDeclarationSyntax syntax
            || context.Operation(syntax) is not IConstructorBodyOperation body)
        {
            return;
        }

        // A half-typed constructor may call itself, or one that calls it: the compiler says so.
        if (syntax.Initializer.IsKind(SyntaxKind.ThisConstructorInitializer) && ChainedCall(body.Initializer) is { } chained && chain.Add(constructor))
        {
            Bind(chained.TargetMethod, new ExpressionReader(context, Scope).Arguments(chained.Arguments).ToEquatableArray());
            ReadConstructor(chained.TargetMethod);
        }

        new ConstructionReader(context, Scope, this).Run((body.BlockBody ?? body.ExpressionBody)?.Operations ?? Enumerable.Empty<IOperation>());
    }

    private readonly HashSet<IMethodSymbol> chain = new(SymbolEqualityComparer.Default);

    private static IInvocationOperation? ChainedCall(IOperation? initialiser) =>
        initialiser as IInvocationOperation ?? (initialiser as IExpressionStatementOperation)?.Operation as IInvocationOperation;

    private LayerEntry? ComponentOf(ISymbol member) =>
        components.FirstOrDefault(component => SymbolEqualityComparer.Default.Equals(component.Member, member));

    /// <summary>The member that an expression names, or that a <c>ModuleList</c> is made of.</summary>
    private static ISymbol? MemberOf(IOperation operation) => operation switch
    {
        IConversionOperation conversion => MemberOf(conversion.Operand),
        IMemberReferenceOperation { Instance: IInstanceReferenceOperation } member => member.Member,
        IObjectCreationOperation { Type.Name: "ModuleList", Arguments: [{ Value: var elements }] } => MemberOf(elements),
        ICollectionExpressionOperation { Elements: [ISpreadOperation { Operand: var elements }] } => MemberOf(elements),
        IInvocationOperation { TargetMethod.Name: "ToArray", Arguments: [{ Value: var elements }] } => MemberOf(elements),
        IInvocationOperation { TargetMethod.Name: "ToArray", Instance: { } list } => MemberOf(list),
        _ => null,
    };
}
