using System.Collections.Generic;
using System.Linq;
using System.Threading;
using Dho2.Planning;
using Microsoft.CodeAnalysis;

namespace Dho2.Modeling;

/// <summary>What the readers of one pipeline class share.</summary>
internal sealed class ReadingContext
{
    private readonly Dictionary<SyntaxTree, SemanticModel> semanticModels;
    private readonly Compilation compilation;

    public ReadingContext(Compilation compilation, CancellationToken cancellation, INamedTypeSymbol? pipeline = null)
    {
        Pipeline = pipeline;
        this.compilation = compilation;
        semanticModels = [];
        Known = new KnownSymbols(compilation);
        Sources = new SourceRecorder(compilation);
        Problems = [];
        Cancellation = cancellation;
        Statics = new Dictionary<ISymbol, Argument>(SymbolEqualityComparer.Default);
    }

    private ReadingContext(ReadingContext parent)
    {
        compilation = parent.compilation;
        Pipeline = parent.Pipeline;
        semanticModels = parent.semanticModels;
        Known = parent.Known;
        Sources = parent.Sources;
        Statics = parent.Statics;
        Interpreted = parent.Interpreted;
        Bodies = parent.Bodies;
        Assumptions = parent.Assumptions;
        Budget = parent.Budget;
        Cancellation = parent.Cancellation;
    }

    public KnownSymbols Known { get; }

    public SourceRecorder Sources { get; }

    /// <summary>Problems found so far; null inside a user's module class, which no one slices.</summary>
    public List<ModelProblem>? Problems { get; }

    public CancellationToken Cancellation { get; }

    /// <summary>Values of static fields that were looked up already.</summary>
    public Dictionary<ISymbol, Argument> Statics { get; }

    /// <summary>The module classes that are being interpreted, to end recursion.</summary>
    public Stack<INamedTypeSymbol> Interpreted { get; } = new();

    /// <summary>Whether the compiler itself reports errors in what would be copied.</summary>
    public bool HasErrors { get; set; }

    /// <summary>Whether positions are recorded and problems reported.</summary>
    public bool IsSliced => Problems is not null;

    /// <summary>The pipeline class.</summary>
    public INamedTypeSymbol? Pipeline { get; }

    /// <summary>The depth of calls of the user's methods that are being read.</summary>
    public int CallDepth { get; set; }

    /// <summary>The insides of module classes that were read already, by constructor and arguments: most models repeat a few blocks.</summary>
    public Dictionary<ModuleKey, ModuleBody?> Bodies { get; } = [];

    /// <summary>What is assumed of parameters that nobody gave; null where a model is read, whose arguments are known or not.</summary>
    public Assumptions? Assumptions { get; init; }

    /// <summary>What reading may still cost.</summary>
    public ReadingBudget Budget { get; } = new();

    /// <summary>The context for the inside of a user's module class.</summary>
    public ReadingContext ForModule() => new(this);

    /// <summary>All files that something was read from.</summary>
    public IEnumerable<SyntaxTree> Files => semanticModels.Keys.Union(Sources.Trees);

    public SemanticModel Semantics(SyntaxTree tree)
    {
        if (!semanticModels.TryGetValue(tree, out SemanticModel? model))
        {
            model = compilation.GetSemanticModel(tree);
            semanticModels.Add(tree, model);
        }

        return model;
    }

    /// <summary>Whether a declared type is none: see <see cref="DeclarationErrors"/>.</summary>
    public bool IsWrong(ITypeSymbol type) => DeclarationErrors.IsWrong(compilation, type);

    public IOperation? Operation(SyntaxNode node) => Semantics(node.SyntaxTree).GetOperation(node, Cancellation);

    public void Report(ModelProblemKind kind, SyntaxNode node, params string[] arguments)
    {
        if (Problems is not null)
        {
            Report(kind, Sources.Span(node), arguments);
        }
    }

    public void Report(ModelProblemKind kind, SyntaxToken token, params string[] arguments)
    {
        if (Problems is not null)
        {
            Report(kind, Sources.Span(token), arguments);
        }
    }

    private void Report(ModelProblemKind kind, SourceSpan span, string[] arguments)
    {
        var problem = new ModelProblem(kind, span, arguments.ToEquatableArray());
        if (!Problems!.Contains(problem))
        {
            Problems.Add(problem);
        }
    }
}
