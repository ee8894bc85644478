using System;
using System.Globalization;
using System.Linq;
using Dho2;
using Dho2.Data;
using static TorchSharp.torch;

// Two classes of noisy images that differ in their mean: a few steps tell most of them apart.
using Tensor labels = (arange(64) % 2).to_type(ScalarType.Int64);
using Tensor noise = randn([64, 1, 8, 8], generator: new Generator(7));
using Tensor images = noise + (0.4f * labels.to_type(ScalarType.Float32).view(64, 1, 1, 1));
using var data = new TensorDataset(images, labels);

using World world = World.Join();
using Trainer trainer = SmallNet.CreateTrainer(world, new TrainingOptions { LearningRate = 0.05, Epochs = 8, Seed = 1, GradientClip = 1 });
double before = trainer.Evaluate(data).Loss;
int estimates = 0;
trainer.CurvatureRefreshed += _ => estimates++;
trainer.Fit(data);
double after = trainer.Evaluate(data).Loss;
using SmallNet unsplit = SmallNet.CreateUnsplit(seed: 1);
trainer.CopyTo(unsplit);
using Tensor loss = nn.functional.cross_entropy(unsplit.forward(images), labels);

Console.WriteLine(string.Create(
    CultureInfo.InvariantCulture,
    $"stages={trainer.Plan.Stages.Count} steps={trainer.Steps} estimates={estimates} before={before:0.0000} after={after:0.0000} unsplit={loss.item<float>():0.0000}"));
