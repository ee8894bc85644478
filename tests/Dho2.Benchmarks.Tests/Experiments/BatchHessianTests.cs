using System;
using System.Linq;
using Dho2.Benchmarks.Experiments;
using Dho2.Curvature;
using Dho2.Pipelines;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Benchmarks.Tests.Experiments;

public sealed class BatchHessianTests : IDisposable
{
    private const long Seed = 5;
    private readonly DisposeScope scope = NewDisposeScope();
    private readonly IPipelineStage stage = MnistAutoencoder.Pipeline.Stages[0](new StageContext(Seed));
    private readonly FlatParameters parameters;
    private readonly ShardedSpace space;
    private readonly Tensor pixels;

    public BatchHessianTests()
    {
        parameters = new FlatParameters(stage.Layers, ScalarType.Float32, CPU);
        space = new ShardedSpace([.. parameters.Segments.Select(s => new ParameterSegment(s.Name, s.Offset, s.Length))]);
        using Generator random = new(3);
        pixels = rand([8, 784], generator: random).round_();
    }

    [Fact]
    public void Its_product_is_the_derivative_of_the_gradient()
    {
        using BatchHessian hessian = new(MnistAutoencoder.Pipeline, parameters, Seed, pixels, pixels, gaussNewton: false);
        Tensor direction = Direction("a");

        // Central differences in float32: rounding of the gradient over the step is about 1e-3 of the product.
        const double Step = 0.1;
        Tensor difference = (GradientAt(direction, Step) - GradientAt(direction, -Step)) / (2 * Step);
        Assert.True(Relative(Product(hessian, direction), difference) < 0.02, $"{Relative(Product(hessian, direction), difference)}");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void It_is_symmetric_and_repeats_itself(bool gaussNewton)
    {
        using BatchHessian hessian = new(MnistAutoencoder.Pipeline, parameters, Seed, pixels, pixels, gaussNewton);
        Tensor a = Direction("a");
        Tensor b = Direction("b");
        Tensor ha = Product(hessian, a);
        Tensor hb = Product(hessian, b);

        Assert.Equal(space.Dot(b, ha), space.Dot(a, hb), 1e-5 * (space.Norm(ha) + space.Norm(hb)));
        Assert.Equal(0, space.Norm(ha - Product(hessian, a)), 1e-7 * space.Norm(ha));
    }

    [Fact]
    public void The_Gauss_Newton_matrix_is_the_curvature_of_the_loss_along_changes_of_the_output()
    {
        using BatchHessian matrix = new(MnistAutoencoder.Pipeline, parameters, Seed, pixels, pixels, gaussNewton: true);
        Tensor direction = Direction("a");
        const double Step = 0.1;
        Tensor output = OutputAt(direction, 0);
        Tensor change = (OutputAt(direction, Step) - OutputAt(direction, -Step)) / (2 * Step);

        // Binary cross-entropy of logits, a mean over all elements: its second derivative is s (1 - s) / elements.
        Tensor probability = output.sigmoid();
        double expected = (change * change * probability * (1 - probability)).mean().item<float>();
        double found = space.Dot(direction, Product(matrix, direction));
        Assert.Equal(expected, found, 0.01 * expected);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Converged_eigenpairs_are_eigenpairs(bool gaussNewton)
    {
        using BatchHessian hessian = new(MnistAutoencoder.Pipeline, parameters, Seed, pixels, pixels, gaussNewton);
        using LanczosEstimator estimator = new(space, new LanczosSettings { Largest = 4, Smallest = 0, Tolerance = 1e-5, MaxOrder = 200 });
        CurvatureEstimate estimate = estimator.Run(hessian);
        using Subspace pairs = estimate.Subspace!;

        Assert.Equal(EstimateOutcome.Certified, estimate.Outcome);
        for (int i = 0; i < pairs.Count; i++)
        {
            Tensor vector = pairs.Vectors.select(0, i);
            Tensor residual = Product(hessian, vector) - (vector * pairs.Eigenvalues[i]);

            // The tolerance, and the rounding of a float32 product.
            Assert.True(space.Norm(residual) < 3e-5 * pairs.Eigenvalues[^1], $"{space.Norm(residual)} of {pairs.Eigenvalues[^1]}");
        }
    }

    public void Dispose()
    {
        parameters.Dispose();
        stage.Dispose();
        scope.Dispose();
    }

    private Tensor Direction(string name)
    {
        Tensor direction = space.Zeros();
        space.FillRandom(direction, Seed, name);
        return direction.div_(space.Norm(direction));
    }

    private Tensor Product(BatchHessian hessian, Tensor direction)
    {
        Tensor product = space.Zeros();
        hessian.Multiply(direction, product);
        return product;
    }

    private double Relative(Tensor found, Tensor expected) => space.Norm(found - expected) / space.Norm(expected);

    private Tensor OutputAt(Tensor direction, double step) => Moved(direction, step, () => stage.Forward([pixels])[0].detach());

    private Tensor GradientAt(Tensor direction, double step) => Moved(direction, step, () =>
    {
        parameters.Gradients.zero_();
        MnistAutoencoder.Pipeline.Loss(stage.Forward([pixels]), [pixels]).backward();
        return parameters.Gradients.clone();
    });

    private Tensor Moved(Tensor direction, double step, Func<Tensor> what)
    {
        using (no_grad())
        {
            parameters.Values.add_(direction, step);
        }

        Tensor result = what();
        using (no_grad())
        {
            parameters.Values.add_(direction, -step);
        }

        return result;
    }
}
