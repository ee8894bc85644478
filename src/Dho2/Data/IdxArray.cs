using System.Collections.Generic;

namespace Dho2.Data;

/// <summary>An array of bytes as an IDX file holds it.</summary>
/// <param name="Dimensions">Items first, then for images rows and columns.</param>
/// <param name="Values">All elements, the last dimension varying fastest.</param>
/// <param name="HeaderBytes">Where the elements begin in the uncompressed file, for messages about one of them.</param>
public sealed record IdxArray(IReadOnlyList<int> Dimensions, byte[] Values, int HeaderBytes);
