using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Operations;

namespace Dho2.Modeling;

/// <summary>Finds types that copied code cannot name, because they are local to the file that it is copied from.</summary>
internal static class FileLocalTypes
{
    /// <summary>The file-local type that an operation names, or null.</summary>
    public static INamedTypeSymbol? UsedBy(IOperation operation)
    {
        INamedTypeSymbol? type = operation switch
        {
            IMemberReferenceOperation { Instance: null } member => member.Member.ContainingType,
            IInvocationOperation { Instance: null } call => call.TargetMethod.ContainingType,
            IObjectCreationOperation creation => creation.Type as INamedTypeSymbol,
            ITypeOfOperation typeOf => typeOf.TypeOperand as INamedTypeSymbol,
            _ => null,
        };
        while (type is { IsFileLocal: false })
        {
            type = type.ContainingType;
        }

        return type;
    }
}
