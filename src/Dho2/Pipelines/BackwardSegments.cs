using System;
using System.Collections.Generic;
using TorchSharp;

namespace Dho2.Pipelines;

/// <summary>How a stage's last backward of a step is walked in parts; only the first stage's, which sends no gradients on.</summary>
/// <param name="Groups">The stage's parameters, in the order in which their gradients are to be finished.</param>
/// <param name="Finished">Called when the gradients of the next group are final.</param>
internal sealed record BackwardSegments(IReadOnlyList<torch.Tensor[]> Groups, Action Finished);
