using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Benchmarks.TimeToLoss;
using Dho2.Pipelines;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Dho2.Benchmarks.Tests.TimeToLoss;

public sealed class KroneckerFactorsTests : IDisposable
{
    private readonly DisposeScope scope = NewDisposeScope();
    private readonly Generator random = new(4);

    [Fact]
    public void Where_all_samples_have_one_input_the_product_is_the_linear_layers_dense_Fisher_matrix()
    {
        using Linear linear = nn.Linear(3, 4, dtype: ScalarType.Float64);
        Tensor input = Normal(1, 3).expand(6, 3).clone();
        Check(linear, input, x => linear.forward(x));
    }

    [Fact]
    public void Of_a_convolution_with_one_place_it_is_the_dense_Fisher_matrix_too()
    {
        using Conv2d convolution = nn.Conv2d(2, 3, 3, dtype: ScalarType.Float64);
        Tensor input = Normal(1, 2, 3, 3).expand(6, 2, 3, 3).clone();
        Check(convolution, input, x => convolution.forward(x).flatten(1));
    }

    [Fact]
    public void Places_whose_gradients_are_independent_add_up()
    {
        // Each sample has a gradient at one of two places, and the same input at both.
        using Linear linear = nn.Linear(2, 3, dtype: ScalarType.Float64);
        using KroneckerFactors factors = Factors(linear);
        Tensor input = Normal(1, 2).expand(2, 2).clone();
        Tensor own = Normal(2, 3);
        Tensor mask = tensor(new double[] { 1, 0 }).view(2, 1);
        factors.Update([(input, own * mask / 2), (input, own * (1 - mask) / 2)], 1, 0);

        Tensor a = cat([input[0], ones(1, ScalarType.Float64)]);
        Tensor expected = Enumerable.Range(0, 2).Select(i => kron(own[i].outer(own[i]), a.outer(a))).Aggregate((x, y) => x + y) / 2;
        AssertClose(expected, kron(factors.Outputs, factors.Inputs));
    }

    [Fact]
    public void A_convolutions_patches_are_what_its_weights_are_multiplied_by()
    {
        using Conv2d convolution = nn.Conv2d(2, 3, 3, stride: 2, padding: 1, dtype: ScalarType.Float64);
        using KroneckerFactors factors = Factors(convolution);
        Tensor input = Normal(2, 2, 5, 5);
        Tensor output = convolution.forward(input);
        factors.Update([(input, ones_like(output))], 1, 0);

        // Weight, bias and A give the outputs' squares, added up over places: sum s s' = [W b] A [W b]' batch.
        Tensor weights = cat([convolution.weight!.flatten(1), convolution.bias!.view(-1, 1)], 1);
        Tensor rows = output.transpose(0, 1).flatten(1);
        AssertClose(rows.mm(rows.t()), weights.mm(factors.Inputs).mm(weights.t()) * 2);
    }

    [Theory]
    [InlineData(0.5)]
    [InlineData(1e-3)]
    public void Preconditioning_multiplies_by_the_inverse_of_the_damped_product(double damping)
    {
        using Linear linear = nn.Linear(3, 4, dtype: ScalarType.Float64);
        using KroneckerFactors factors = Factors(linear);
        factors.Update([(Normal(20, 3), Normal(20, 4))], 1, 0);
        factors.Invert(damping);

        double ratio = Math.Sqrt(factors.Inputs.trace().item<double>() / 4 / (factors.Outputs.trace().item<double>() / 4));
        Tensor unit = eye(4, dtype: ScalarType.Float64);
        Tensor damped = kron(factors.Outputs + (unit * Math.Sqrt(damping) / ratio), factors.Inputs + (unit * Math.Sqrt(damping) * ratio));
        Tensor vector = Normal(16);
        Tensor found = vector.clone();
        factors.Precondition(found);

        // The flat vector has all weights first, the matrix each output's bias behind its weights.
        AssertClose(InRows(vector), damped.mv(InRows(found)));
    }

    [Fact]
    public void Factors_are_exponential_means_that_begin_with_the_first_batch()
    {
        using Linear linear = nn.Linear(2, 2, dtype: ScalarType.Float64);
        using KroneckerFactors all = Factors(linear), first = Factors(linear), second = Factors(linear);
        (Tensor, Tensor)[] batches = [(Normal(5, 2), Normal(5, 2)), (Normal(5, 2), Normal(5, 2))];
        all.Update([batches[0]], 1, 0.8);
        first.Update([batches[0]], 1, 0);
        AssertClose(first.Inputs, all.Inputs);

        all.Update([batches[1]], 1, 0.8);
        second.Update([batches[1]], 1, 0);
        AssertClose((0.8 * first.Inputs) + (0.2 * second.Inputs), all.Inputs);
        AssertClose((0.8 * first.Outputs) + (0.2 * second.Outputs), all.Outputs);
    }

    [Fact]
    public void Drawn_classes_give_the_curvature_of_the_cross_entropy()
    {
        Tensor logits = tensor(new float[] { 0.5f, -1, 1 }).expand(20_000, 3).clone().requires_grad_(true);
        KroneckerModel model = KroneckerModel.Of("mnist-logistic");
        Tensor found = OutputFactor(logits, model, (output, drawn) => nn.functional.cross_entropy(output, drawn));

        // Second derivative of the cross-entropy of a softmax; 20,000 draws leave an error of 0.4 %.
        Tensor p = nn.functional.softmax(logits[0].detach(), 0);
        Assert.True(allclose(p.diag() - p.outer(p), found, 0, 0.01));
    }

    [Fact]
    public void Drawn_pixels_give_the_curvature_of_a_loss_that_is_a_mean_over_them()
    {
        Tensor logits = linspace(-2, 2, 784).expand(4_000, 784).clone().requires_grad_(true);
        KroneckerModel model = KroneckerModel.Of("mnist-autoencoder");
        Tensor found = OutputFactor(logits, model, (output, drawn) => nn.functional.binary_cross_entropy_with_logits(output, drawn)) * 784;

        Tensor p = logits[0].detach().sigmoid();
        Assert.True(allclose(p * (1 - p), found.diagonal(), 0, 0.03));
        Assert.True((found - found.diagonal().diag()).mean().abs().item<float>() < 1e-3);
    }

    public void Dispose()
    {
        random.Dispose();
        scope.Dispose();
    }

    // The factor G of a linear layer with these outputs.
    private Tensor OutputFactor(Tensor logits, KroneckerModel model, Func<Tensor, Tensor, Tensor> loss)
    {
        using Linear linear = nn.Linear(1, logits.shape[1]);
        using KroneckerFactors factors = Factors(linear);
        loss(logits, model.Draw(logits.detach(), random)).backward();
        factors.Update([(zeros(logits.shape[0], 1), logits.grad!)], model.Terms, 0);
        return factors.Outputs.clone();
    }

    // Squares of the whole gradients of single samples, against the factors.
    private void Check(nn.Module layer, Tensor input, Func<Tensor, Tensor> forward)
    {
        using KroneckerFactors factors = Factors(layer);
        long batch = input.shape[0];
        Tensor targets = arange(batch, ScalarType.Int64).remainder(3);
        Tensor[] parameters = [.. layer.parameters()];
        Tensor expected = zeros(1, ScalarType.Float64);
        for (long i = 0; i < batch; i++)
        {
            IList<Tensor> own = autograd.grad([nn.functional.cross_entropy(forward(input[i].unsqueeze(0)), targets[i].unsqueeze(0))], parameters);
            Tensor gradient = cat([own[0].flatten(1), own[1].view(-1, 1)], 1).flatten();
            expected = expected + (gradient.outer(gradient) / batch);
        }

        Tensor output = layer is Conv2d convolution ? convolution.forward(input) : ((Linear)layer).forward(input);
        Tensor back = autograd.grad([nn.functional.cross_entropy(output.flatten(1), targets)], [output])[0];
        factors.Update([(input, back)], 1, 0);
        AssertClose(expected, kron(factors.Outputs, factors.Inputs));
    }

    private static Tensor InRows(Tensor vector) => cat([vector.narrow(0, 0, 12).view(4, 3), vector.narrow(0, 12, 4).view(4, 1)], 1).flatten();

    private static KroneckerFactors Factors(nn.Module layer)
    {
        using FlatParameters parameters = new([new StageLayer("layer", layer)], layer.parameters().First().dtype, CPU);
        return new KroneckerFactors(new StageLayer("layer", layer), parameters.Segments);
    }

    private Tensor Normal(params long[] shape) => randn(shape, ScalarType.Float64, generator: random);

    private static void AssertClose(Tensor expected, Tensor found) =>
        Assert.True(allclose(expected, found, 1e-9, 1e-9), $"{(expected - found).abs().max().item<double>()} of {expected.abs().max().item<double>()}");
}
