using System;

namespace Dho2.Optimizers;

internal static class Ranges
{
    public static void Require(bool condition, string message)
    {
        if (!condition)
        {
            throw new ArgumentException(message);
        }
    }
}
