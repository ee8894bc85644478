using System.Diagnostics;

namespace Dho2;

/// <summary>
/// Where time goes, as .NET activities of the source <c>Dho2</c>: <c>training.step</c>, <c>curvature.graphs</c>,
/// <c>curvature.product</c> and <c>curvature.trial</c>, each with the rank's stage. They cost nothing unless somebody listens.
/// </summary>
internal static class Tracing
{
    public static readonly ActivitySource Source = new("Dho2");
}
