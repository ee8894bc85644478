using TorchSharp;

namespace Dho2.Curvature;

/// <summary>
/// The Hessian of the loss at fixed parameters over a fixed batch, as a linear operator on vectors that are sharded over
/// the ranks of a group. All ranks of the group call it in step.
/// </summary>
public interface IHessianOperator
{
    /// <summary>The length of this rank's shard (n_s).</summary>
    long LocalSize { get; }

    /// <summary>Multiplies the Hessian with a vector.</summary>
    /// <param name="direction">This rank's shard of the vector, shape (n_s).</param>
    /// <param name="product">Overwritten with this rank's shard of the product, shape (n_s).</param>
    void Multiply(torch.Tensor direction, torch.Tensor product);
}
