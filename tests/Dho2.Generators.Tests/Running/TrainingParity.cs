using System;
using System.Collections.Generic;
using System.Linq;
using System.Reflection;
using Dho2.Data;
using Dho2.Pipelines;
using Dho2.Planning;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Generators.Tests;

/// <summary>Trains a generated pipeline and its unsplit model over the same micro-batches, in float64, and compares them.</summary>
internal static class TrainingParity
{
    private const long Seed = 3;
    private const double Rate = 0.05;

    // Rounding of float64 sums taken in another order.
    private const double Tolerance = 1e-10;

    /// <summary>Trains one pass with gradient descent; losses, parameters and buffers must agree.</summary>
    public static void Check(PipelineDefinition definition, IDataset data, int batch, int microBatches)
    {
        using DisposeScope scope = NewDisposeScope();
        using nn.Module expected = Unsplit(definition, Seed);
        using nn.Module actual = Unsplit(definition, Seed + 1);
        List<double> expectedLosses = TrainUnsplit(definition, expected, data, batch, microBatches);
        List<double> losses = Train(definition, actual, data, batch, microBatches);
        Assert.NotEmpty(losses);
        Assert.Equal(expectedLosses.Count, losses.Count);
        Assert.All(expectedLosses.Zip(losses), pair => Assert.Equal(pair.First, pair.Second, Tolerance));
        Dictionary<string, Tensor> state = actual.state_dict();
        Assert.All(expected.state_dict(), entry =>
            Assert.True(entry.Value.allclose(state[entry.Key], rtol: 0, atol: Tolerance), entry.Key));
    }

    /// <summary>
    /// The unsplit model in float64. It is built so, not converted: TorchSharp releases a parameter that two Linear layers
    /// share when it converts the first of them.
    /// </summary>
    private static nn.Module Unsplit(PipelineDefinition definition, long seed)
    {
        using nn.Module single = definition.Unsplit(seed);
        ScalarType before = get_default_dtype();
        set_default_dtype(float64);
        try
        {
            nn.Module model = definition.Unsplit(seed);
            using IDisposable noGrad = no_grad();
            Dictionary<string, Tensor> values = single.state_dict();
            foreach ((string name, Tensor target) in model.state_dict())
            {
                target.copy_(values[name]);
            }

            return model;
        }
        finally
        {
            set_default_dtype(before);
        }
    }

    private static List<double> Train(PipelineDefinition definition, nn.Module result, IDataset data, int batch, int microBatches)
    {
        var losses = new List<double>();
        using var world = World.Join();
        using var trainer = new Trainer(definition, world, new TrainingOptions
        {
            LearningRate = Rate,
            Seed = Seed,
            Optimizer = OptimizerKind.FirstOrder,
            ThreadsPerRank = 1,
            Overrides = new() { Batch = batch, MicroBatches = microBatches, Base = BaseKind.Sgd, DType = DType.Float64 },
        });
        trainer.StepCompleted += step => losses.Add(step.Result.Loss);
        trainer.Fit(data);
        trainer.CopyTo(result);
        return losses;
    }

    private static List<double> TrainUnsplit(PipelineDefinition definition, nn.Module model, IDataset data, int batch, int microBatches)
    {
        MethodInfo forward = model.GetType().GetMethod("forward", BindingFlags.Instance | BindingFlags.Public | BindingFlags.DeclaredOnly)!;
        model.train();
        var losses = new List<double>();
        foreach (long[][] dealt in new EpochSampler(data.Count, batch, 1, Seed).Shuffled(1))
        {
            using DisposeScope scope = NewDisposeScope();
            var step = new Batch(data.Inputs(dealt[0]), data.Targets(dealt[0]));
            model.zero_grad();
            double sum = 0;
            int start = 0;
            foreach (int size in MicroBatches.Split(step.Samples, microBatches))
            {
                Batch part = step.Narrow(start, size);
                object result = forward.Invoke(model, [.. part.Inputs.Select(input => (object)input)])!;
                Tensor loss = definition.Loss([(Tensor)result], part.Targets) * ((double)size / step.Samples);
                loss.backward();
                sum += loss.item<double>();
                start += size;
            }

            losses.Add(sum);
            using IDisposable noGrad = no_grad();

            // TorchSharp names a parameter that two modules share twice.
            foreach (Tensor parameter in model.parameters().DistinctBy(p => p.storage<double>().data_ptr()))
            {
                parameter.sub_(parameter.grad! * Rate);
            }
        }

        return losses;
    }
}
