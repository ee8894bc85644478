using System.Collections.Generic;
using System.Linq;

namespace Dho2.Planning;

/// <summary>Shapes as people write them.</summary>
public static class ShapeText
{
    /// <summary>The dimensions in parentheses, as in <c>(N, 32, 7, 7)</c>; unknown ones are question marks.</summary>
    public static string Of(IEnumerable<Dimension> shape) => "(" + string.Join(", ", shape.Select(d => d.ToString())) + ")";
}
