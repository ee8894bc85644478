using System.Diagnostics;

namespace Dho2;

/// <summary>
/// Where time goes, as .NET activities of the source <c>Dho2</c>: <c>training.step</c>, <c>curvature.graphs</c> and
/// <c>curvature.product</c>, each with the rank's stage. They cost nothing unless somebody listens.
/// </summary>
internal static class Tracing
{
    public static readonly ActivitySource Source = new("Dho2");
}
