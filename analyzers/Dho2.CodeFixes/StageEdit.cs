using System.Globalization;
using System.Linq;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Simplification;

namespace Dho2.CodeFixes;

/// <summary>Writes a stage into the declaration of a layer.</summary>
internal static class StageEdit
{
    /// <summary>The member with <c>[Stage(stage)]</c>: the number of its own attribute replaced, or the attribute added.</summary>
    /// <param name="member">The field or property that holds the layer.</param>
    /// <param name="stage">The stage.</param>
    /// <param name="onOwnLine">Whether an added attribute gets a line of its own.</param>
    /// <param name="endOfLine">The end of a line in the file.</param>
    public static MemberDeclarationSyntax Apply(MemberDeclarationSyntax member, int stage, bool onOwnLine, string endOfLine)
    {
        LiteralExpressionSyntax number = SyntaxFactory.LiteralExpression(
            SyntaxKind.NumericLiteralExpression,
            SyntaxFactory.Literal(stage.ToString(CultureInfo.InvariantCulture), stage));
        return Find(member)?.ArgumentList?.Arguments.FirstOrDefault() is { } argument
            ? member.ReplaceNode(argument.Expression, number.WithTriviaFrom(argument.Expression))
            : Add(member, number, onOwnLine, endOfLine);
    }

    /// <summary>The member's own stage attribute, or null.</summary>
    public static AttributeSyntax? Find(MemberDeclarationSyntax member) =>
        member.AttributeLists
            .SelectMany(list => list.Attributes)
            .FirstOrDefault(attribute => attribute.Name.GetLastToken().ValueText is "Stage" or "StageAttribute");

    private static MemberDeclarationSyntax Add(MemberDeclarationSyntax member, ExpressionSyntax number, bool onOwnLine, string endOfLine)
    {
        SyntaxTriviaList leading = member.GetLeadingTrivia();
        AttributeListSyntax list = SyntaxFactory.AttributeList(SyntaxFactory.SingletonSeparatedList(SyntaxFactory.Attribute(
                SyntaxFactory.ParseName("global::Dho2.Stage").WithAdditionalAnnotations(Simplifier.Annotation),
                SyntaxFactory.AttributeArgumentList(SyntaxFactory.SingletonSeparatedList(SyntaxFactory.AttributeArgument(number))))))
            .WithLeadingTrivia(leading)
            .WithTrailingTrivia(onOwnLine ? SyntaxFactory.EndOfLine(endOfLine) : SyntaxFactory.Space);
        SyntaxTriviaList rest = onOwnLine && leading.Count > 0 && leading.Last().IsKind(SyntaxKind.WhitespaceTrivia)
            ? SyntaxFactory.TriviaList(leading.Last())
            : default;
        member = member.WithLeadingTrivia(rest);
        return member.WithAttributeLists(member.AttributeLists.Insert(0, list));
    }
}
