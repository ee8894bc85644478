using System;
using System.Globalization;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Diagnostics;
using Microsoft.CodeAnalysis.Operations;

namespace Dho2.Analyzers;

/// <summary>Says where training options state a weight decay that the curvature does not see.</summary>
internal static class WeightDecayCheck
{
    public static void Analyze(OperationAnalysisContext context)
    {
        var assignment = (ISimpleAssignmentOperation)context.Operation;
        if (assignment.Target is IPropertyReferenceOperation { Property: { Name: "DecoupledWeightDecay", ContainingType: { Name: "TrainingOptions" } type } }
            && type.ContainingNamespace is { Name: "Dho2", ContainingNamespace.IsGlobalNamespace: true }
            && assignment.Value.ConstantValue is { HasValue: true, Value: IConvertible value }
            && Convert.ToDouble(value, CultureInfo.InvariantCulture) is > 0 and var decay)
        {
            context.ReportDiagnostic(Diagnostic.Create(
                Descriptors.DecayOutsideLoss, assignment.Value.Syntax.GetLocation(), decay.ToString(CultureInfo.InvariantCulture)));
        }
    }
}
