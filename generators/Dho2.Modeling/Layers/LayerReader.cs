using System.Collections.Generic;
using System.Linq;
using Dho2.Planning;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Operations;

namespace Dho2.Modeling;

/// <summary>
/// Reads the components of a module class: fields and properties with their initialisers, then the straight-line
/// assignments of its constructor.
/// </summary>
internal sealed partial class LayerReader(ReadingContext context, INamedTypeSymbol type)
{
    private readonly List<LayerEntry> components = [];

    /// <summary>The layers and known values, once they are read.</summary>
    public ModuleScope Scope { get; } = new();

    /// <summary>The layers in source order, parallel to the scope's descriptions.</summary>
    public IReadOnlyList<LayerEntry> Layers { get; private set; } = [];

    /// <summary>All components in source order, buffers included.</summary>
    public IReadOnlyList<LayerEntry> Components => components;

    /// <summary>Reads the class as one of its constructors leaves it.</summary>
    /// <param name="constructor">The constructor; null for the one that is generated.</param>
    /// <param name="arguments">Its arguments by parameter name.</param>
    public void Read(IMethodSymbol? constructor, EquatableArray<Argument> arguments)
    {
        if (constructor is not null)
        {
            Bind(constructor, arguments);
        }

        foreach (TypeDeclarationSyntax declaration in UserSyntax.Declarations(type, context.Cancellation))
        {
            SemanticModel semantics = context.Semantics(declaration.SyntaxTree);
            foreach (MemberDeclarationSyntax member in declaration.Members)
            {
                context.Cancellation.ThrowIfCancellationRequested();
                ReadMember(member, semantics);
            }
        }

        if (constructor is not null)
        {
            ReadConstructor(constructor);
        }

        Layers = components.Where(IsLayer).ToList();
        for (int i = 0; i < Layers.Count; i++)
        {
            LayerEntry layer = Layers[i];
            Scope.Layers.Add(layer.Member, i);
            Scope.Descriptions.Add(Describe(layer));
        }
    }

    private bool IsLayer(LayerEntry component) =>
        context.Known.IsModule(component.Type) || context.Known.IsParameter(component.Type);

    private void ReadMember(MemberDeclarationSyntax member, SemanticModel semantics)
    {
        switch (member)
        {
            case FieldDeclarationSyntax field when !field.Modifiers.Any(SyntaxKind.StaticKeyword) && !field.Modifiers.Any(SyntaxKind.ConstKeyword):
                foreach (VariableDeclaratorSyntax variable in field.Declaration.Variables)
                {
                    if (semantics.GetDeclaredSymbol(variable, context.Cancellation) is IFieldSymbol symbol)
                    {
                        ReadComponent(symbol, symbol.Type, variable.Identifier, field.Declaration.Type, variable.Initializer?.Value, symbol.IsReadOnly);
                    }
                }

                break;
            case PropertyDeclarationSyntax property when !property.Modifiers.Any(SyntaxKind.StaticKeyword):
                if (semantics.GetDeclaredSymbol(property, context.Cancellation) is IPropertySymbol { IsIndexer: false } declared)
                {
                    bool isAuto = property.AccessorList?.Accessors.All(a => a.Body is null && a.ExpressionBody is null) == true;
                    ExpressionSyntax? value = isAuto ? property.Initializer?.Value : property.ExpressionBody?.Expression;
                    bool isComputed = !isAuto && (context.Known.IsModule(declared.Type) || context.Known.IsTensor(declared.Type));
                    if (!isComputed && (isAuto || value is not null))
                    {
                        ReadComponent(declared, declared.Type, property.Identifier, property.Type, value, declared.SetMethod is null);
                    }
                }

                break;
        }
    }

    private void ReadComponent(
        ISymbol member, ITypeSymbol memberType, SyntaxToken name, TypeSyntax typeSyntax, ExpressionSyntax? initialiser, bool isReadOnly)
    {
        IOperation? creation = initialiser is null ? null : context.Operation(initialiser);
        if (context.Known.IsModule(memberType) || context.Known.IsTensor(memberType))
        {
            var component = new LayerEntry(member, memberType, name, typeSyntax.SpanStart);
            components.Add(component);
            if (creation is not null)
            {
                Create(component, creation);
            }
        }
        else if (isReadOnly && creation is not null)
        {
            SetValue(member, creation);
        }
    }

    private void SetValue(ISymbol member, IOperation value)
    {
        Argument argument = new ExpressionReader(context, Scope).Read(value);
        if (argument.IsKnown())
        {
            Scope.Values[member] = argument;
        }
    }

    /// <summary>Takes an expression as what creates a component.</summary>
    private void Create(LayerEntry component, IOperation creation)
    {
        if (component.Creation is not null)
        {
            component.Obstacle = "it is assigned more than once";
        }

        component.Creation = creation;
        if (IsLayer(component))
        {
            component.Created = LayerFactory.Read(context, Scope, creation);
        }

        var constants = new List<ConstantSource>();
        foreach (IOperation operation in creation.DescendantsAndSelf())
        {
            context.HasErrors |= operation is IInvalidOperation;
            component.Obstacle ??= ObstacleIn(component, operation, creation, constants);
        }

        component.Constants = constants.Distinct().ToEquatableArray();
    }

    private string? ObstacleIn(LayerEntry component, IOperation operation, IOperation creation, List<ConstantSource> constants)
    {
        switch (operation)
        {
            case IInstanceReferenceOperation { ReferenceKind: InstanceReferenceKind.ContainingTypeInstance } instance:
                if (instance.Parent is IMemberReferenceOperation member && Scope.IsRepeatable(member.Member, member.Type))
                {
                    Scope.UsedMembers.Add(member.Member);
                    component.UsesMembers = true;
                    return null;
                }

                return "its creation uses the model itself, which a stage does not have";
            case ILocalReferenceOperation { IsDeclaration: false } local when IsOutside(local.Local, creation):
                return Repeat(local.Local, local.Local.Type, constants);
            case IParameterReferenceOperation parameter when IsOutside(parameter.Parameter, creation):
                return Repeat(parameter.Parameter, parameter.Parameter.Type, constants);
            default:
                return FileLocalTypes.UsedBy(operation) is { } local2
                    ? $"its creation uses '{local2.Name}', which is local to its file"
                    : null;
        }
    }

    private string? Repeat(ISymbol variable, ITypeSymbol variableType, List<ConstantSource> constants)
    {
        if (Scope.Values.TryGetValue(variable, out Argument? value) && ConstantText.Write(value, variableType) is { } text)
        {
            constants.Add(new ConstantSource(variable.Name, variableType.GlobalName(), text));
            return null;
        }

        return $"its creation reads '{variable.Name}', whose value is not known at compile time";
    }

    private static bool IsOutside(ISymbol variable, IOperation creation) =>
        variable.DeclaringSyntaxReferences.All(reference =>
            reference.SyntaxTree != creation.Syntax.SyntaxTree || !creation.Syntax.Span.Contains(reference.Span));

    private LayerDescription Describe(LayerEntry layer)
    {
        ITypeSymbol? created = layer.Created?.Type;
        ITypeSymbol holder = created ?? layer.Type;
        StageChoice stage = StageReader.Of(layer.Member, created, layer.Type);
        return new LayerDescription(
            layer.RegisteredName ?? ComponentName(layer.Member) ?? layer.Member.Name,
            layer.Created?.Kind ?? "unknown",
            layer.Type.GlobalName(),
            layer.Created?.Arguments ?? default,
            stage.Number,
            AttributeReader.RankOf(layer.Member, created, layer.Type),
            layer.Created?.Body,
            AttributeReader.DeviceMemory(context, holder),
            stage.IsAutomatic,
            AttributeReader.TiedTo(layer.Member));
    }

    /// <summary>The name by which TorchSharp's attribute says a field is registered.</summary>
    private static string? ComponentName(ISymbol member) =>
        member.GetAttributes()
            .FirstOrDefault(attribute => attribute.AttributeClass?.Name == "ComponentNameAttribute")?
            .NamedArguments.FirstOrDefault(argument => argument.Key == "Name").Value.Value as string;
}
