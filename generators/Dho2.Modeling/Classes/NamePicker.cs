using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Planning;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Dho2.Modeling;

/// <summary>Picks names for generated members that hide nothing which the user's code means by the same name.</summary>
internal sealed class NamePicker
{
    private readonly ReadingContext context;
    private readonly INamedTypeSymbol type;
    private readonly Dictionary<string, List<SyntaxToken>> identifiers = new(StringComparer.Ordinal);

    public NamePicker(ReadingContext context, INamedTypeSymbol type)
    {
        this.context = context;
        this.type = type;
        foreach (TypeDeclarationSyntax declaration in UserSyntax.Declarations(type, context.Cancellation))
        {
            foreach (SyntaxToken token in declaration.DescendantTokens().Where(token => token.IsKind(SyntaxKind.IdentifierToken)))
            {
                if (!identifiers.TryGetValue(token.ValueText, out List<SyntaxToken>? places))
                {
                    identifiers.Add(token.ValueText, places = []);
                }

                places.Add(token);
            }
        }
    }

    /// <summary>All identifiers of the class, in ordinal order.</summary>
    public EquatableArray<string> Identifiers => identifiers.Keys.OrderBy(name => name, StringComparer.Ordinal).ToEquatableArray();

    public MemberNames Pick() => new(
        Free("Pipeline", name => [name]),
        Free("CreateTrainer", name => [name]),
        Free("CreateUnsplit", name => [name]),
        Free("Stage", Numbered),
        Free("Cut", Numbered),
        Free("Forward", name => [name]));

    private IEnumerable<string> Numbered(string stem) =>
        identifiers.Keys.Where(name => name.Length > stem.Length
            && name.StartsWith(stem, StringComparison.Ordinal)
            && name.Skip(stem.Length).All(char.IsDigit));

    private string Free(string name, Func<string, IEnumerable<string>> names)
    {
        while (names(name).Any(IsTaken))
        {
            name = "Generated" + name;
        }

        return name;
    }

    private bool IsTaken(string name) =>
        type.GetMembers(name).Any(member => !UserSyntax.IsGenerated(member, context.Cancellation))
        || (identifiers.TryGetValue(name, out List<SyntaxToken>? places) && places.Any(MeansSomethingElse));

    private bool MeansSomethingElse(SyntaxToken token)
    {
        if (token.Parent is not SimpleNameSyntax name || name.FirstAncestorOrSelf<AttributeSyntax>() is { } attribute && attribute.Name.Span.Contains(name.Span))
        {
            return false;
        }

        bool isQualified = (name.Parent is MemberAccessExpressionSyntax access && access.Name == name)
            || (name.Parent is QualifiedNameSyntax qualified && qualified.Right == name)
            || name.Parent is NameColonSyntax or NameEqualsSyntax;
        return !isQualified
            && context.Semantics(name.SyntaxTree).GetSymbolInfo(name, context.Cancellation).Symbol is { } symbol
            && !UserSyntax.IsGenerated(symbol, context.Cancellation);
    }
}
