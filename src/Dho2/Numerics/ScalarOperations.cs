using static TorchSharp.torch;
using Scalar = TorchSharp.Scalar;

namespace Dho2.Numerics;

/// <summary>Operations of a tensor with a number.</summary>
/// <remarks>
/// TorchSharp 0.107 turns the number into a native scalar that its wrapper's finalizer frees, and passes the scalar's address to
/// native code without keeping the wrapper alive: collected in the middle of the call, it is gone before it is read, and
/// the operation throws or computes with something else. Here it lives until the call is over. Overloads that leave out a
/// factor of 1 make one themselves, which is no better.
/// </remarks>
internal static class ScalarOperations
{
    /// <summary>Multiplies in place.</summary>
    public static Tensor ScaleBy(this Tensor tensor, double factor)
    {
        using Scalar scalar = factor;
        return tensor.mul_(scalar);
    }

    /// <summary>Divides in place.</summary>
    public static Tensor DivideBy(this Tensor tensor, double divisor)
    {
        using Scalar scalar = divisor;
        return tensor.div_(scalar);
    }

    /// <summary>Adds a multiple in place.</summary>
    public static Tensor AddScaled(this Tensor tensor, Tensor other, double factor)
    {
        using Scalar scalar = factor;
        return tensor.add_(other, scalar);
    }

    /// <summary>Adds in place.</summary>
    public static Tensor Increase(this Tensor tensor, Tensor other)
    {
        // An integer: tensors of integers take no other.
        using Scalar one = 1;
        return tensor.add_(other, one);
    }

    /// <summary>Adds a multiple of an elementwise product in place.</summary>
    public static Tensor AddScaledProduct(this Tensor tensor, Tensor left, Tensor right, double factor)
    {
        using Scalar scalar = factor;
        return tensor.addcmul_(left, right, scalar);
    }

    /// <summary>Adds a number to all elements in place.</summary>
    public static Tensor IncreaseBy(this Tensor tensor, double number)
    {
        using Scalar scalar = number;
        using Scalar one = 1;
        return tensor.add_(scalar, one);
    }

    /// <summary>A multiple of a tensor.</summary>
    public static Tensor Times(this Tensor tensor, double factor)
    {
        using Scalar scalar = factor;
        return tensor.mul(scalar);
    }

    /// <summary>A tensor divided by a number.</summary>
    public static Tensor Over(this Tensor tensor, double divisor)
    {
        using Scalar scalar = divisor;
        return tensor.div(scalar);
    }

    /// <summary>A tensor of the same shape and type, every element the number.</summary>
    public static Tensor Filled(this Tensor tensor, double number)
    {
        using Scalar scalar = number;
        return full_like(tensor, scalar);
    }
}
