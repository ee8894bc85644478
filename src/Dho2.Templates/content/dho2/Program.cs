using System;
using Dho2;
using Dho2.Data;
using Dho2Training;
using static TorchSharp.torch;

using TensorDataset train = Spirals(2_048, seed: 1), test = Spirals(512, seed: 2);

// Both stages run in this process, or each in one of its own: mpirun -n 2 dotnet Dho2Training.dll
using World world = World.Join();
using Trainer trainer = Net.CreateTrainer(world, new TrainingOptions { LearningRate = 0.01, Epochs = 10, GradientClip = 3, Seed = 1 });
if (world.IsLeader)
{
    trainer.EpochCompleted += epoch => Console.WriteLine(FormattableString.Invariant(
        $"epoch {epoch.Epoch}: training loss {epoch.TrainingLoss:0.000}, test accuracy {epoch.Test?.Accuracy:0.000}"));
    trainer.CurvatureRefreshed += refreshed => Console.WriteLine(FormattableString.Invariant(
        $"step {refreshed.Step}: largest eigenvalue {refreshed.Estimate.Eigenvalues[^1]:0.00}"));
}

trainer.Fit(train, test);

// Points on two arms that wind around each other, with a little noise.
static TensorDataset Spirals(int count, ulong seed)
{
    using Generator random = new(seed);
    using Tensor labels = (arange(count) % 2).to_type(ScalarType.Int64);
    using Tensor turn = rand([count], generator: random).sqrt() * 2 * Math.PI;
    using Tensor angle = turn + (labels * Math.PI);
    using Tensor radius = turn / (2 * Math.PI);
    using Tensor noise = randn([count, 2], generator: random) * 0.01;
    using Tensor x = radius * angle.cos(), y = radius * angle.sin();
    using Tensor points = stack([x, y], dim: 1) + noise;
    return new TensorDataset(points, labels);
}
