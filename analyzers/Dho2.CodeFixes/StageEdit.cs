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
        string number = stage.ToString(CultureInfo.InvariantCulture);
        return Find(member)?.ArgumentList?.Arguments.FirstOrDefault()?.Expression is { } written
            ? member.ReplaceNode(written, SyntaxFactory.ParseExpression(number).WithTriviaFrom(written))
            : Add(member, Parse(number), onOwnLine, endOfLine);
    }

    /// <summary>The member's own stage attribute, or null.</summary>
    public static AttributeSyntax? Find(MemberDeclarationSyntax member) =>
        member.AttributeLists
            .SelectMany(list => list.Attributes)
            .FirstOrDefault(attribute => attribute.Name.GetLastToken().ValueText is "Stage" or "StageAttribute");

    private static MemberDeclarationSyntax Add(MemberDeclarationSyntax member, AttributeListSyntax list, bool onOwnLine, string endOfLine)
    {
        SyntaxTriviaList leading = member.GetLeadingTrivia();
        SyntaxTriviaList indentation = onOwnLine && leading.Count > 0 && leading.Last().IsKind(SyntaxKind.WhitespaceTrivia)
            ? SyntaxFactory.TriviaList(leading.Last())
            : default;
        list = list.WithLeadingTrivia(leading).WithTrailingTrivia(onOwnLine ? SyntaxFactory.EndOfLine(endOfLine) : SyntaxFactory.Space);
        member = member.WithLeadingTrivia(indentation);
        return member.WithAttributeLists(member.AttributeLists.Insert(0, list));
    }

    /// <summary>The attribute, parsed, because what is built from parts is laid out anew; its name is shortened to what the usings allow.</summary>
    private static AttributeListSyntax Parse(string number)
    {
        AttributeListSyntax list = SyntaxFactory.ParseMemberDeclaration($"[global::Dho2.Stage({number})] int field;")!.AttributeLists[0];
        NameSyntax name = list.Attributes[0].Name;
        return list.ReplaceNode(name, name.WithAdditionalAnnotations(Simplifier.Annotation));
    }
}
