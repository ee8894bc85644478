using System;
using System.Collections.Generic;
using Dho2.Planning.Inference;

namespace Dho2.Planning.Catalogue;

/// <summary>The operations that planning knows, by <see cref="Operation.Name"/>: one class for each family.</summary>
internal static class OperationCatalogue
{
    private static readonly IReadOnlyDictionary<string, Func<CallContext, Symbolic>> Rules = Build();

    /// <summary>The names of all operations.</summary>
    public static IEnumerable<string> Names => Rules.Keys;

    /// <summary>The rule of an operation; null where there is none.</summary>
    public static Func<CallContext, Symbolic>? Find(string name) =>
        Rules.TryGetValue(name, out Func<CallContext, Symbolic>? rule) ? rule : null;

    private static IReadOnlyDictionary<string, Func<CallContext, Symbolic>> Build()
    {
        var table = new RuleTable();
        StructureOperations.AddTo(table);
        ElementwiseOperations.AddTo(table);
        ArithmeticOperations.AddTo(table);
        ViewOperations.AddTo(table);
        JoinOperations.AddTo(table);
        IndexOperations.AddTo(table);
        ReductionOperations.AddTo(table);
        MatrixOperations.AddTo(table);
        NormalisationOperations.AddTo(table);
        ConvolutionOperations.AddTo(table);
        PoolingOperations.AddTo(table);
        CreationOperations.AddTo(table);
        AttentionLayers.AddTo(table);
        LossOperations.AddTo(table);
        return table.Rules;
    }
}
