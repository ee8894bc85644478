using System;
using System.Linq;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using System.Text;
using System.Threading;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Dho2.Modeling;

/// <summary>
/// What code in other files can see of a file: its tokens without the bodies and values of members, constants apart, and without
/// members that are private to a class. While that stays the same, other files mean what they meant.
/// </summary>
internal sealed class TreeOutline
{
    private static readonly ConditionalWeakTable<SyntaxTree, TreeOutline> Outlines = new();

    private TreeOutline(byte[] hash) => Hash = hash;

    /// <summary>SHA-256 of the outline.</summary>
    public byte[] Hash { get; }

    /// <summary>The outline of a file; found once for each tree.</summary>
    public static TreeOutline Of(SyntaxTree tree, CancellationToken cancellation)
    {
        if (!Outlines.TryGetValue(tree, out TreeOutline? outline))
        {
            var text = new StringBuilder();
            text.Append(tree.FilePath).Append('\n').Append(UserSyntax.IsGenerated(tree, cancellation)).Append('\n');
            var walker = new Walker(text, cancellation);
            walker.Visit(tree.GetRoot(cancellation));
            using var sha = SHA256.Create();
            outline = Outlines.GetValue(tree, new ConditionalWeakTable<SyntaxTree, TreeOutline>.CreateValueCallback(
                _ => new TreeOutline(sha.ComputeHash(Encoding.UTF8.GetBytes(text.ToString())))));
        }

        return outline;
    }

    private sealed class Walker(StringBuilder text, CancellationToken cancellation) : CSharpSyntaxWalker(SyntaxWalkerDepth.Token)
    {
        public override void VisitToken(SyntaxToken token)
        {
            // The kind tells a keyword from an identifier of the same letters, and what is missing from what is empty.
            text.Append((int)token.Kind()).Append(' ').Append(token.Text).Append('\n');
        }

        public override void VisitBlock(BlockSyntax node) => text.Append("{}\n");

        // The value of a constant can be seen anywhere, that of any other field or property only by who reads the file.
        public override void VisitEqualsValueClause(EqualsValueClauseSyntax node)
        {
            bool isHidden = !node.ContainsDiagnostics && node.Parent switch
            {
                PropertyDeclarationSyntax => true,
                VariableDeclaratorSyntax { Parent.Parent: FieldDeclarationSyntax field } => !field.Modifiers.Any(SyntaxKind.ConstKeyword),
                _ => false,
            };
            if (isHidden)
            {
                text.Append("=\n");
            }
            else
            {
                base.VisitEqualsValueClause(node);
            }
        }

        public override void VisitArrowExpressionClause(ArrowExpressionClauseSyntax node) => text.Append("=>\n");

        public override void VisitClassDeclaration(ClassDeclarationSyntax node)
        {
            cancellation.ThrowIfCancellationRequested();
            bool isClosed = node.BaseList is null && !node.Modifiers.Any(SyntaxKind.PartialKeyword);
            foreach (SyntaxNodeOrToken child in node.ChildNodesAndTokens())
            {
                if (child.AsNode() is not { } inner)
                {
                    VisitToken(child.AsToken());
                }
                else if (!isClosed || !IsPrivate(inner))
                {
                    Visit(inner);
                }
            }
        }

        // Constructors count even if they are private: without them a class has a public one.
        private static bool IsPrivate(SyntaxNode member) =>
            member is FieldDeclarationSyntax or MethodDeclarationSyntax { ExplicitInterfaceSpecifier: null } or PropertyDeclarationSyntax { ExplicitInterfaceSpecifier: null }
            && !member.ContainsDiagnostics
            && !((MemberDeclarationSyntax)member).Modifiers.Any(modifier =>
                modifier.Kind() is SyntaxKind.PublicKeyword or SyntaxKind.ProtectedKeyword or SyntaxKind.InternalKeyword or SyntaxKind.PartialKeyword or SyntaxKind.RequiredKeyword or SyntaxKind.FileKeyword);
    }
}
