namespace Dho2.Curvature;

/// <summary>Where a parameter, or a part of one, lies in a rank's flat vector.</summary>
/// <param name="Name">The parameter's name in the unsplit model.</param>
/// <param name="Offset">Its first element in the flat vector.</param>
/// <param name="Length">Its number of elements there.</param>
/// <param name="Start">The first of those elements within the parameter; 0 where the rank holds all of it.</param>
public readonly record struct ParameterSegment(string Name, long Offset, long Length, long Start = 0);
