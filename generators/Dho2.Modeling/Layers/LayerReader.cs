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
    private bool hasGeneratedConstructor;

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
        hasGeneratedConstructor = constructor is null;
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

        context.HasErrors |= components.Any(component =>
            DeclarationErrors.IsAmbiguous(type, component.Member.Name) || DeclarationErrors.HasUnknownAttribute(component.Member) || context.IsWrong(component.Type));
        Layers = components.Where(IsLayer).SelectMany(Flatten).ToList();
        for (int i = 0; i < Layers.Count; i++)
        {
            LayerEntry layer = Layers[i];
            if (layer.Element < 0)
            {
                Scope.Layers.Add(layer.Member, i);
            }
            else
            {
                Scope.Lists[layer.Member] = Scope.Lists.TryGetValue(layer.Member, out IReadOnlyList<int>? before) ? [.. before, i] : [i];
            }

            Scope.Descriptions.Add(Describe(layer));
            Scope.Fields.Add(layer.FieldName);
        }
    }

    private bool IsLayer(LayerEntry component)
    {
        if (component.IsNull || (component.Creation is null && component.Obstacle is null && IsNullable(component.Type)))
        {
            Scope.Values[component.Member] = Argument.OfNull("");
            return false;
        }

        return component.ElementType is not null || context.Known.IsModule(component.Type) || context.Known.IsParameter(component.Type);
    }

    private static bool IsNullable(ITypeSymbol type) => type.NullableAnnotation == NullableAnnotation.Annotated;

    /// <summary>A single layer, or the elements of a list of layers.</summary>
    private IEnumerable<LayerEntry> Flatten(LayerEntry component)
    {
        if (component.ElementType is not { } elementType || component.Creation is null)
        {
            return [component];
        }

        bool isRegistered = hasGeneratedConstructor || component.RegisteredName is not null || context.Known.IsModuleList(component.Type);
        List<Creation>? elements = Scope.Collections.TryGetValue(component.Member, out List<Creation>? list) ? list : null;
        if (elements is null || elements.Contains(Creation.Missing) || !isRegistered || component.Obstacle is not null)
        {
            if (component.Obstacle is null)
            {
                (component.Obstacle, component.Remedy) = ObstacleOf(component.Creation, elements is null || isRegistered);
            }

            return [component];
        }

        Scope.Lists[component.Member] = [];
        string[] names = ModuleListReader.NamesOf(elements).ToArray();
        return elements.Select((element, i) =>
        {
            var entry = new LayerEntry(component.Member, elementType, component.Name, component.TypePosition)
            {
                Element = i,
                ElementName = names[i],
                RegisteredName = $"{component.RegisteredName ?? component.Member.Name}.{names[i]}",
            };
            entry.Take(element);
            return entry;
        });
    }

    /// <summary>Why the elements of a list are not layers, and what would make them so.</summary>
    private (string Obstacle, string Remedy) ObstacleOf(IOperation creation, bool isUnknown)
    {
        if (!isUnknown)
        {
            return ("TorchSharp does not register the modules in it", "make it a ModuleList");
        }

        IMethodSymbol? foreign = creation.DescendantsAndSelf().OfType<IInvocationOperation>()
            .Select(call => call.TargetMethod)
            .FirstOrDefault(method => context.Known.ElementOf(method.ReturnType) is not null
                && context.Known.ElementOf(method.ContainingType) is null
                && ModuleListReader.IsForeign(method, context));
        return foreign is not null
            ? ($"its list is made by '{foreign.ContainingType.Name}.{foreign.Name}', and what another class creates cannot be copied under this one's names",
                "make the list in one expression, or in a method of this class")
            : ("it is not known at compile time which modules it holds", "make it from constants: in one expression, in a method of this class, or in the constructor");
    }

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
        ITypeSymbol? element = context.Known.ElementOf(memberType);
        if (element is not null || context.Known.IsModule(memberType) || context.Known.IsTensor(memberType))
        {
            var component = new LayerEntry(member, memberType, name, typeSyntax.SpanStart) { ElementType = element };
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

        var creations = new CreationReader(context, Scope);
        IOperation chosen = creations.Chosen(creation);
        component.IsNull = CreationReader.IsNull(chosen);
        if (component.IsNull)
        {
            // What declares that there is nothing may be followed by what there is.
            return;
        }

        if (component.ElementType is not null)
        {
            component.Creation = chosen;
            context.HasErrors |= chosen.DescendantsAndSelf().Any(ForwardErrors.IsWrong);
            Scope.Collections[component.Member] = new ModuleListReader(context, Scope).Read(chosen);
            return;
        }

        component.Take(creations.Read(chosen, context.Known.IsModule(component.Type) || context.Known.IsParameter(component.Type)));
    }

    private LayerDescription Describe(LayerEntry layer)
    {
        ITypeSymbol? created = layer.Created?.Type;
        ITypeSymbol holder = created ?? layer.Type;
        StageChoice stage = StageReader.Of(layer.Member, created, layer.Type, System.Math.Max(0, layer.Element));
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
            AttributeReader.TiedTo(layer.Member))
        {
            Recomputes = AttributeReader.Recomputes(layer.Member, created, layer.Type),
        };
    }

    /// <summary>The name by which TorchSharp's attribute says a field is registered.</summary>
    private static string? ComponentName(ISymbol member) =>
        member.GetAttributes()
            .FirstOrDefault(attribute => attribute.AttributeClass?.Name == "ComponentNameAttribute")?
            .NamedArguments.FirstOrDefault(argument => argument.Key == "Name").Value.Value as string;
}
