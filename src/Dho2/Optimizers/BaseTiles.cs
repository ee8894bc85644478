using System.Numerics;
using System.Runtime.CompilerServices;

namespace Dho2.Optimizers;

/// <summary>The first-order optimizers on a tile of host memory: a gradient becomes a step, in place.</summary>
internal static unsafe class BaseTiles
{
    /// <summary><c>b = decay b + g;  g = gradientGain g + momentumGain b</c>; without momentum only the first gain counts.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Momentum<T>(T* gradient, T* momentum, int count, double decay, double gradientGain, double momentumGain)
        where T : unmanaged, INumber<T>
    {
        T d = T.CreateTruncating(decay);
        T p = T.CreateTruncating(gradientGain);
        T q = T.CreateTruncating(momentumGain);
        int i = 0;
        if (momentum is null)
        {
            for (; i <= count - Vector<T>.Count; i += Vector<T>.Count)
            {
                Vector.Store(p * Vector.Load(gradient + i), gradient + i);
            }

            for (; i < count; i++)
            {
                gradient[i] *= p;
            }

            return;
        }

        for (; i <= count - Vector<T>.Count; i += Vector<T>.Count)
        {
            Vector<T> g = Vector.Load(gradient + i);
            Vector<T> b = (d * Vector.Load(momentum + i)) + g;
            Vector.Store(b, momentum + i);
            Vector.Store((p * g) + (q * b), gradient + i);
        }

        for (; i < count; i++)
        {
            T b = (d * momentum[i]) + gradient[i];
            momentum[i] = b;
            gradient[i] = (p * gradient[i]) + (q * b);
        }
    }

    /// <summary>
    /// <c>m = d m + (1 - d) g;  v = d2 v + (1 - d2) g^2;  g = gain m / (sqrt(v / correction) + epsilon)</c>.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Adam<T>(
        T* gradient, T* mean, T* square, int count, double decay, double secondDecay, double correction, double epsilon, double gain)
        where T : unmanaged, IRootFunctions<T>
    {
        T d = T.CreateTruncating(decay);
        T d1 = T.CreateTruncating(1 - decay);
        T s = T.CreateTruncating(secondDecay);
        T s1 = T.CreateTruncating(1 - secondDecay);
        T c = T.CreateTruncating(1 / correction);
        T e = T.CreateTruncating(epsilon);
        T f = T.CreateTruncating(gain);
        Vector<T> es = new(e);
        int i = 0;
        for (; i <= count - Vector<T>.Count; i += Vector<T>.Count)
        {
            Vector<T> g = Vector.Load(gradient + i);
            Vector<T> m = (d * Vector.Load(mean + i)) + (d1 * g);
            Vector<T> v = (s * Vector.Load(square + i)) + (s1 * g * g);
            Vector.Store(m, mean + i);
            Vector.Store(v, square + i);
            Vector.Store(f * m / (Vector.SquareRoot(c * v) + es), gradient + i);
        }

        for (; i < count; i++)
        {
            T g = gradient[i];
            T m = (d * mean[i]) + (d1 * g);
            T v = (s * square[i]) + (s1 * g * g);
            mean[i] = m;
            square[i] = v;
            gradient[i] = f * m / (T.Sqrt(c * v) + e);
        }
    }
}
