using System;
using System.Collections.Generic;
using Dho2.Planning.Inference;

namespace Dho2.Planning.Catalogue;

/// <summary>The operations that planning knows, by <see cref="Operation.Name"/>.</summary>
internal static class OperationCatalogue
{
    private static readonly Dictionary<string, Func<CallContext, Symbolic>> Rules = Build();

    /// <summary>The rule of an operation; null where there is none.</summary>
    public static Func<CallContext, Symbolic>? Find(string name) =>
        Rules.TryGetValue(name, out Func<CallContext, Symbolic>? rule) ? rule : null;

    private static Dictionary<string, Func<CallContext, Symbolic>> Build()
    {
        var rules = new Dictionary<string, Func<CallContext, Symbolic>>(StringComparer.Ordinal);
        StructureOperations.AddTo(rules);
        return rules;
    }
}
