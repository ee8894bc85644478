using System.Globalization;
using System.Linq;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Simplification;

namespace Dho2.CodeFixes;

/// <summary>Writes numbers into attributes. What is added is parsed, because what is built from parts would be laid out anew.</summary>
internal static class AttributeEditor
{
    /// <summary>The member with an attribute of one number, or of none: the number of its own attribute replaced, or the attribute added.</summary>
    /// <param name="member">The field or property that holds a layer.</param>
    /// <param name="name">The attribute, such as <c>Stage</c>.</param>
    /// <param name="value">The number; null for an attribute without one.</param>
    /// <param name="onOwnLine">Whether an added attribute gets a line of its own.</param>
    /// <param name="endOfLine">The end of a line in the file.</param>
    public static MemberDeclarationSyntax SetAttribute(MemberDeclarationSyntax member, string name, int? value, bool onOwnLine, string endOfLine)
    {
        if (value is not { } written)
        {
            return Find(member, name) is null ? Add(member, Parse($"[global::Dho2.{name}]"), onOwnLine, endOfLine) : member;
        }

        string number = written.ToString(CultureInfo.InvariantCulture);
        return Find(member, name)?.ArgumentList?.Arguments.FirstOrDefault()?.Expression is { } before
            ? member.ReplaceNode(before, SyntaxFactory.ParseExpression(number).WithTriviaFrom(before))
            : Add(member, Parse($"[global::Dho2.{name}({number})]"), onOwnLine, endOfLine);
    }

    /// <summary>The attribute with a number as a property: the property's value replaced, or the property added.</summary>
    public static AttributeSyntax SetProperty(AttributeSyntax attribute, string name, int value)
    {
        string number = value.ToString(CultureInfo.InvariantCulture);
        AttributeArgumentListSyntax arguments = attribute.ArgumentList ?? SyntaxFactory.AttributeArgumentList();
        if (arguments.Arguments.FirstOrDefault(argument => argument.NameEquals?.Name.Identifier.ValueText == name) is { } stated)
        {
            ExpressionSyntax expression = SyntaxFactory.ParseExpression(number).WithTriviaFrom(stated.Expression);
            return attribute.ReplaceNode(stated.Expression, expression);
        }

        AttributeArgumentSyntax added = Parse($"[A({name} = {number})]").Attributes[0].ArgumentList!.Arguments[0];
        SyntaxNodeOrToken[] list = arguments.Arguments.Count == 0
            ? [added]
            : [.. arguments.Arguments.GetWithSeparators(), SyntaxFactory.Token(SyntaxKind.CommaToken).WithTrailingTrivia(SyntaxFactory.Space), added];
        return attribute.WithArgumentList(arguments.WithArguments(SyntaxFactory.SeparatedList<AttributeArgumentSyntax>(list)));
    }

    /// <summary>The member's own attribute of a name, or null.</summary>
    public static AttributeSyntax? Find(MemberDeclarationSyntax member, string name) =>
        member.AttributeLists
            .SelectMany(list => list.Attributes)
            .FirstOrDefault(attribute => attribute.Name.GetLastToken().ValueText is var written && (written == name || written == name + "Attribute"));

    private static MemberDeclarationSyntax Add(MemberDeclarationSyntax member, AttributeListSyntax list, bool onOwnLine, string endOfLine)
    {
        SyntaxTriviaList leading = member.GetLeadingTrivia();
        SyntaxTriviaList indentation = onOwnLine && leading.Count > 0 && leading.Last().IsKind(SyntaxKind.WhitespaceTrivia)
            ? SyntaxFactory.TriviaList(leading.Last())
            : default;
        NameSyntax name = list.Attributes[0].Name;
        list = list
            .ReplaceNode(name, name.WithAdditionalAnnotations(Simplifier.Annotation))
            .WithLeadingTrivia(leading)
            .WithTrailingTrivia(onOwnLine ? SyntaxFactory.EndOfLine(endOfLine) : SyntaxFactory.Space);
        member = member.WithLeadingTrivia(indentation);
        return member.WithAttributeLists(member.AttributeLists.Insert(0, list));
    }

    private static AttributeListSyntax Parse(string list) => SyntaxFactory.ParseMemberDeclaration(list + " int field;")!.AttributeLists[0];
}
