using System.Collections.Generic;
using System.Linq;
using Dho2.Planning;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Operations;
using ArgumentKind = Dho2.Planning.ArgumentKind;

namespace Dho2.Modeling;

internal sealed partial class ExpressionReader
{
    private Outcome Field(IFieldReferenceOperation reference)
    {
        IFieldSymbol field = reference.Field;
        if (reference.Instance is null)
        {
            return Static(field);
        }

        if (field.ContainingType.IsTupleType && TupleIndex(field) is { } index and >= 0)
        {
            Argument tuple = Read(reference.Instance);
            return tuple.Kind switch
            {
                ArgumentKind.List when index < tuple.Items.Count => tuple.Items[index],
                ArgumentKind.Value => Outcome.Of("item", [tuple with { Name = "this" }, Argument.OfInteger("index", index)]),
                _ => ConstantFolding.Unknown,
            };
        }

        return Member(reference);
    }

    private Outcome Property(IPropertyReferenceOperation reference)
    {
        IPropertySymbol property = reference.Property;
        if (CountOf(reference) is { } count)
        {
            return Argument.OfInteger("", count);
        }

        if (ElementOf(reference) >= 0)
        {
            return ConstantFolding.Unknown;
        }

        if (reference.Instance is null)
        {
            return property.GetMethod is { } ? Static(property) : ConstantFolding.Unknown;
        }

        if (reference.Instance is IInstanceReferenceOperation || LayerOf(reference.Instance) >= 0)
        {
            return Member(reference);
        }

        if (property.Name is "Length" or "Count" && Read(reference.Instance) is { Kind: ArgumentKind.List } known && known.IsKnown())
        {
            return Argument.OfInteger("", known.Items.Count);
        }

        List<Argument> arguments = [Read(reference.Instance) with { Name = "this" }, .. Arguments(reference.Arguments)];
        return arguments.Any(ConstantFolding.HasValues)
            ? Outcome.Of(OwnerName(property.ContainingType) + (property.IsIndexer ? ".this[]" : "." + property.Name), arguments)
            : ConstantFolding.Unknown;
    }

    /// <summary>A member of the module itself, or of one of its layers.</summary>
    private Outcome Member(IMemberReferenceOperation reference)
    {
        if (reference.Instance is IInstanceReferenceOperation)
        {
            if (scope.Layers.TryGetValue(reference.Member, out int own))
            {
                return context.Known.IsParameter(reference.Type) ? Outcome.Of("read", [], own) : ConstantFolding.Unknown;
            }

            if (scope.Values.TryGetValue(reference.Member, out Argument? value))
            {
                scope.UsedMembers.Add(reference.Member);
                return value;
            }

            return ConstantFolding.Unknown;
        }

        int layer = LayerOf(reference.Instance);
        if (layer >= 0)
        {
            return context.Known.IsModule(reference.Type) ? ConstantFolding.Unknown
                : context.Known.IsParameter(reference.Type) && IsWhole(reference.Instance)
                ? Outcome.Of("read", [Argument.OfText("parameter", reference.Member.Name)], layer)
                : Outcome.Of("opaque", [], layer);
        }

        Argument instance = Read(reference.Instance!);
        return instance.HasValues()
            ? Outcome.Of(OwnerName(reference.Member.ContainingType) + "." + reference.Member.Name, [instance with { Name = "this" }])
            : ConstantFolding.Unknown;
    }

    /// <summary>A static member: the value of its initialiser where that is certain.</summary>
    private Argument Static(ISymbol member)
    {
        if (KnownSymbols.IsTorchSharp(member))
        {
            return TorchConstant(member);
        }

        if (context.Statics.TryGetValue(member, out Argument? known))
        {
            return known;
        }

        // Present while it is being read: a cycle of initialisers ends as unknown.
        context.Statics[member] = ConstantFolding.Unknown;
        Argument value = ConstantFolding.Unknown;
        if (member is IFieldSymbol { IsReadOnly: true } or IPropertySymbol { IsReadOnly: true }
            && !member.ContainingType.StaticConstructors.Any(constructor => !constructor.IsImplicitlyDeclared)
            && Initialiser(member) is { } initialiser
            && context.Operation(initialiser) is { } operation)
        {
            value = new ExpressionReader(context, new ModuleScope()).Read(operation);
        }

        context.Statics[member] = value;
        return value;
    }

    private ExpressionSyntax? Initialiser(ISymbol member) =>
        member.DeclaringSyntaxReferences is [{ } reference]
            ? reference.GetSyntax(context.Cancellation) switch
            {
                VariableDeclaratorSyntax { Initializer.Value: { } value } => value,
                PropertyDeclarationSyntax { Initializer.Value: { } value } => value,
                PropertyDeclarationSyntax { ExpressionBody.Expression: { } value } => value,
                _ => null,
            }
            : null;

    /// <summary>TorchSharp's names of element types and of indices, such as <c>torch.float32</c>.</summary>
    private static Argument TorchConstant(ISymbol member) => (member.ContainingType.Name, member.Name) switch
    {
        ("torch", "uint8" or "byte") => Argument.OfText("", "Byte"),
        ("torch", "int8") => Argument.OfText("", "Int8"),
        ("torch", "int16" or "short") => Argument.OfText("", "Int16"),
        ("torch", "int32" or "int") => Argument.OfText("", "Int32"),
        ("torch", "int64" or "long") => Argument.OfText("", "Int64"),
        ("torch", "float16" or "half") => Argument.OfText("", "Float16"),
        ("torch", "float32" or "float") => Argument.OfText("", "Float32"),
        ("torch", "float64" or "double") => Argument.OfText("", "Float64"),
        ("torch", "bfloat16") => Argument.OfText("", "BFloat16"),
        ("torch", "bool") => Argument.OfText("", "Bool"),
        ("TensorIndex", _) => Argument.OfText("", member.Name),
        _ => ConstantFolding.Unknown,
    };

    private static int TupleIndex(IFieldSymbol field)
    {
        IFieldSymbol element = field.CorrespondingTupleField ?? field;
        for (int i = 0; i < element.ContainingType.TupleElements.Length; i++)
        {
            IFieldSymbol candidate = element.ContainingType.TupleElements[i];
            if (candidate.Name == field.Name || candidate.CorrespondingTupleField?.Name == element.Name)
            {
                return i;
            }
        }

        return -1;
    }

    private string OwnerName(INamedTypeSymbol type) => context.Known.IsTensor(type) ? "Tensor" : type.FullName();
}
