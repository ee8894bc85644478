using Dho2.Planning;

namespace Dho2.Modeling;

/// <summary>What was read of a forward method.</summary>
internal sealed record ForwardReading(
    EquatableArray<Operation> Operations,
    EquatableArray<OperationSource> OperationSources,
    EquatableArray<StatementDescription> Statements,
    EquatableArray<StatementSource> StatementSources,
    EquatableArray<int> Results,
    EquatableArray<VariableSource> Variables,
    EquatableArray<ConstantSource> Constants);
