using System.Collections.Generic;
using Dho2.Modeling;

namespace Dho2.Generators;

/// <summary>What is copied at once into a stage: a statement, or a part of an expression whose result other stages use.</summary>
/// <param name="Statement">The statement's index.</param>
/// <param name="Root">The operation whose text is copied, as an index; -1 for the statement itself.</param>
/// <param name="Operations">The operations computed here, as indices.</param>
/// <param name="Foreign">The outermost operations within the text that earlier stages computed.</param>
/// <param name="Reads">What must hold before: variables of the copied text.</param>
internal sealed record StageUnit(
    int Statement,
    int Root,
    IReadOnlyList<int> Operations,
    IReadOnlyList<int> Foreign,
    IReadOnlyList<VariableRead> Reads);
