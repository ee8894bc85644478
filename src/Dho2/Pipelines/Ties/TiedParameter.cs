using System.Collections.Generic;
using TorchSharp.Modules;

namespace Dho2.Pipelines;

/// <summary>
/// A parameter that several stages use. The owner alone has it in its flat vector, so that it counts once in the number
/// of parameters, in norms, in dot products and in every optimizer's state; on the other stages stands a mirror.
/// </summary>
/// <remarks>
/// Over point-to-point messages between the owner and each mirror, mirrors follow the owner's values before every
/// forward, and their gradients are added to the owner's after the last backward of a step; in a Hessian-vector product
/// they follow the owner's part of the direction, and theirs is added to the owner's part of the product. All sums are
/// taken by stage in ascending order, so that runs repeat.
/// </remarks>
/// <param name="Name">The owner's name of it, which is the unsplit model's, such as <c>tokens.weight</c>.</param>
/// <param name="Owner">The stage that keeps it, counted from 0; the parameter must be trainable there.</param>
/// <param name="Mirrors">
/// The other stages that use it, in ascending order. Stages that use it twice, the owner included, share one tensor
/// among their own layers and appear once.
/// </param>
public sealed record TiedParameter(string Name, int Owner, IReadOnlyList<int> Mirrors);

/// <summary>
/// What stands for another stage's parameter on a stage that uses it too: a parameter of the same shape, whose own
/// initial value does not matter. It may be a bare parameter of the stage or lie within one of its layers' modules; in
/// either case it is not among the stage's flat parameters.
/// </summary>
/// <param name="Name">The name in <see cref="TiedParameter.Name"/>.</param>
/// <param name="Parameter">The stage's own tensor; it belongs to the stage.</param>
public readonly record struct ParameterMirror(string Name, Parameter Parameter);
