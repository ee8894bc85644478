using System.Collections.Generic;
using System.Linq;
using System.Threading;
using Dho2.Planning;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Operations;
using ArgumentKind = Dho2.Planning.ArgumentKind;

namespace Dho2.Modeling;

/// <summary>Reads the expression that creates a layer.</summary>
internal static class LayerFactory
{
    private const string Unknown = "unknown";

    private static readonly ModelOptions NoOptions =
        new(1, Defaults.Schedule, Defaults.Base, 1, 1, null, null, null);

    public static CreatedLayer Read(ReadingContext context, ModuleScope scope, IOperation creation)
    {
        creation = CreationReader.Unwrap(creation);
        var expressions = new ExpressionReader(context, scope);
        switch (creation)
        {
            case IInvocationOperation { Instance: null } call when KnownSymbols.IsTorchSharp(call.TargetMethod):
                return context.Known.IsParameter(call.Type)
                    ? Parameter(context, scope, call.Arguments, call.Type)
                    : new CreatedLayer(
                        call.TargetMethod.FullName(), call.Type, Arguments(expressions, call.Arguments), Children(context, scope, call));
            case IObjectCreationOperation { Type: { } type, Constructor: { } constructor } construction:
                return context.Known.IsParameter(type)
                    ? Parameter(context, scope, construction.Arguments, type)
                    : KnownSymbols.IsTorchSharp(type)
                    ? new CreatedLayer(type.FullName(), type, Arguments(expressions, construction.Arguments), null)
                    : UserModule(context, expressions, construction, constructor, (INamedTypeSymbol)type);
            case IInvocationOperation call when context.Known.IsModule(call.Type)
                && new MethodReader(context, scope).Read(call, returned => Made(context, scope, returned)) is { } made:
                return made;
            default:
                return new CreatedLayer(Unknown, creation.Type, default, null);
        }
    }

    private static CreatedLayer UserModule(
        ReadingContext context,
        ExpressionReader expressions,
        IObjectCreationOperation construction,
        IMethodSymbol constructor,
        INamedTypeSymbol type)
    {
        EquatableArray<Argument> arguments = Arguments(expressions, construction.Arguments);
        ModuleBody? body = construction.Initializer is null ? ModuleInterpreter.Interpret(context, type, constructor, arguments) : null;
        return new CreatedLayer(body is null ? Unknown : "module", type, arguments, body);
    }

    /// <summary>A bare parameter: its shape is that of the tensor it is made from.</summary>
    private static CreatedLayer Parameter(
        ReadingContext context, ModuleScope scope, IEnumerable<IArgumentOperation> arguments, ITypeSymbol? type)
    {
        var builder = new OperationBuilder(0);
        List<Argument> read = new ExpressionReader(context, scope, operations: builder).Arguments(arguments);
        Argument shape = read.FirstOrDefault(argument => argument.Kind == ArgumentKind.Value) is { } data
            ? ShapeOf(data.Value, builder, context.Cancellation)
            : Argument.OfUnknown("shape");
        return new CreatedLayer(
            "parameter", type, read.Where(argument => !argument.HasValues()).Append(shape).ToEquatableArray(), null);
    }

    private static Argument ShapeOf(int value, OperationBuilder builder, CancellationToken cancellation)
    {
        var computation = new ModelDescription(
            "", "", NoOptions, default, default, default, builder.Operations.ToEquatableArray(), default, new[] { value }.ToEquatableArray());
        EquatableArray<Dimension>? shape = ShapeInference.Infer(computation, cancellation).Values[value].Shape;
        return shape is { } known && known.All(size => size.IsNumber)
            ? Argument.OfList("shape", known.Select(size => Argument.OfInteger("", size.Number)).ToEquatableArray())
            : Argument.OfUnknown("shape");
    }

    /// <summary>The children of a <c>Sequential</c> or a list of modules, by their registered names; null where one is not created in place.</summary>
    private static ModuleBody? Children(ReadingContext context, ModuleScope scope, IInvocationOperation call)
    {
        if (call.TargetMethod.Name is not ("Sequential" or "ModuleList") || call.Arguments is not [{ Value: var list }])
        {
            return null;
        }

        if (new ModuleListReader(context, scope).Read(list) is not { } elements)
        {
            return null;
        }

        var layers = new List<LayerDescription>();
        foreach ((Creation element, string name) in elements.Zip(ModuleListReader.NamesOf(elements), static (element, name) => (element, name)))
        {
            CreatedLayer child = element.Created;
            string typeName = (child.Type ?? element.Operation.Type)?.GlobalName() ?? "object";
            layers.Add(new LayerDescription(name, child.Kind, typeName, child.Arguments, null, null, child.Body));
        }

        return new ModuleBody(1, layers.ToEquatableArray(), default, default);
    }

    /// <summary>What a method returns, if it is certainly a module.</summary>
    private static CreatedLayer? Made(ReadingContext context, ModuleScope scope, IOperation returned)
    {
        IOperation chosen = new CreationReader(context, scope).Chosen(returned);
        return CreationReader.IsNull(chosen) || CreationReader.Unwrap(chosen) is not (IInvocationOperation or IObjectCreationOperation)
            ? null
            : Read(context, scope, chosen);
    }

    private static EquatableArray<Argument> Arguments(ExpressionReader expressions, IEnumerable<IArgumentOperation> arguments) =>
        expressions.Arguments(arguments).ToEquatableArray();
}
