namespace Dho2.Planning;

/// <summary>64-bit arithmetic that reports overflow instead of wrapping or throwing: sizes in half-typed code can be anything.</summary>
internal static class SafeInteger
{
    public static bool TryAdd(long left, long right, out long sum)
    {
        sum = unchecked(left + right);
        return ((left ^ sum) & (right ^ sum)) >= 0;
    }

    public static bool TryMultiply(long left, long right, out long product)
    {
        product = unchecked(left * right);
        return left switch
        {
            0 => true,

            // The only quotient that overflows; the processor would throw.
            -1 => right != long.MinValue,
            _ => product / left == right,
        };
    }

    public static long? Add(long? left, long? right) =>
        left is { } a && right is { } b && TryAdd(a, b, out long sum) ? sum : null;

    public static long? Multiply(long? left, long? right) =>
        left is { } a && right is { } b && TryMultiply(a, b, out long product) ? product : null;
}
