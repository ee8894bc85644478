using System;
using static TorchSharp.torch;

using Tensor x = ones(3, requires_grad: true);
using Tensor y = (x * x * x).sum();
using Tensor gradient = autograd.grad([y], [x], null, true, true)[0];
using Tensor second = autograd.grad([gradient.sum()], [x])[0];
Console.WriteLine($"second derivative: {string.Join(' ', second.data<float>().ToArray())}");
