using System.Collections.Generic;
using System.Linq;
using Dho2.Planning;
using Microsoft.CodeAnalysis;

namespace Dho2.Modeling;

/// <summary>Matches <c>[Input]</c> and <c>[Target]</c> with the parameters that they describe.</summary>
internal static class InputReader
{
    /// <summary>Describes parameters by the attributes of a kind: by name where one is given, else in order.</summary>
    public static EquatableArray<InputDescription> Read(
        ReadingContext context, INamedTypeSymbol type, string kind, string method, IReadOnlyList<IParameterSymbol> parameters, DType otherwise)
    {
        var described = new AttributeData?[parameters.Count];
        int next = 0;
        foreach (AttributeData attribute in AttributeReader.All(type, kind))
        {
            string? name = AttributeReader.Named<string?>(attribute, nameof(InputAttribute.Name), null);
            int index = name is null ? next++ : IndexOf(parameters, name);
            if (index < 0 || index >= parameters.Count)
            {
                Report(context, attribute, name is null
                    ? $"There are more [{kind}] attributes than parameters: {method} takes {parameters.Count}"
                    : $"[{kind}] describes '{name}', but {method} has no such parameter; it has {List(parameters)}");
            }
            else if (described[index] is not null)
            {
                Report(context, attribute, $"Parameter '{parameters[index].Name}' of {method} is described twice");
            }
            else
            {
                described[index] = attribute;
            }
        }

        return parameters.Select((parameter, i) => Describe(context, parameter, described[i], kind, otherwise)).ToEquatableArray();
    }

    private static InputDescription Describe(
        ReadingContext context, IParameterSymbol parameter, AttributeData? attribute, string kind, DType otherwise)
    {
        if (attribute is null)
        {
            return new InputDescription(parameter.Name, null, otherwise);
        }

        EquatableArray<DimensionDescription>? dimensions = AttributeReader.Dimensions(attribute);
        if (dimensions is null)
        {
            Report(context, attribute, $"A dimension of [{kind}] must be a positive whole number, or the name of a symbol such as \"T\"");
        }

        return new InputDescription(
            parameter.Name, dimensions, (DType)AttributeReader.Named(attribute, nameof(InputAttribute.DType), (int)otherwise));
    }

    private static int IndexOf(IReadOnlyList<IParameterSymbol> parameters, string name)
    {
        for (int i = 0; i < parameters.Count; i++)
        {
            if (parameters[i].Name == name)
            {
                return i;
            }
        }

        return -1;
    }

    private static string List(IReadOnlyList<IParameterSymbol> parameters) =>
        parameters.Count == 0 ? "none" : string.Join(", ", parameters.Select(parameter => $"'{parameter.Name}'"));

    private static void Report(ReadingContext context, AttributeData attribute, string message)
    {
        if (attribute.ApplicationSyntaxReference?.GetSyntax(context.Cancellation) is { } syntax)
        {
            context.Report(ModelProblemKind.InputMismatch, syntax, message);
        }
    }
}
