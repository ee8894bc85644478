using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Text;
using Dho2;
using Dho2.Data;
using Dho2.Planning;
using Dho2.Samples;
using TorchSharp;
using static TorchSharp.torch;

namespace CharGptSample;

/// <summary>Trains <see cref="CharGpt"/> on four stages on Shakespeare's sonnets, and lets it write.</summary>
internal static class Program
{
    private const string Type = "--type";
    private const int TestShare = 10;
    private const int WrittenCharacters = 200;

    private static readonly SampleDefaults Defaults = new("CharGpt", Epochs: 8, Batch: 32, DataFiles: "a text file", BaseKind.Adam)
    {
        DataIsFile = true,
        QuickSamples = 640,
        LearningRate = kind => kind == BaseKind.Adam ? 2e-3 : 0.1,
        Choices = new Dictionary<string, string[]> { [Type] = ["float32", "float64", "bfloat16"] },
        More = "Without --data it reads Shakespeare's sonnets, which come with it.",
    };

    private static int Main(string[] arguments) => SampleProgram.Run(Defaults, arguments, Train);

    private static void Train(SampleOptions options, World world)
    {
        Stopwatch clock = Stopwatch.StartNew();
        string file = options.Data ?? Path.Combine(AppContext.BaseDirectory, "sonnets.txt");
        long[] text = Characters.Encode(File.ReadAllText(file), file);
        int testCharacters = text.Length / TestShare;
        if (testCharacters <= CharGpt.Context)
        {
            throw new InvalidDataException($"{file} has {text.Length} characters; expected more than {TestShare * (CharGpt.Context + 1)}.");
        }

        // Training windows overlap by half; test windows do not.
        using TensorDataset train = Windows(text.AsSpan(0, text.Length - testCharacters), CharGpt.Context / 2, options.Samples);
        using TensorDataset test = Windows(text.AsSpan(text.Length - testCharacters), CharGpt.Context, options.Samples);
        TrainingOptions training = options.ToTrainingOptions();
        using Trainer trainer = CharGpt.CreateTrainer(world, training with
        {
            GradientClip = 1,
            Overrides = training.Overrides! with
            {
                DType = options.Choice(Type) switch { "float64" => DType.Float64, "bfloat16" => DType.BFloat16, _ => null },
            },
        });
        Evaluation result = SampleProgram.FitAndShow(options, trainer, world, train, test);
        using CharGpt whole = new();
        trainer.CopyTo(whole);
        if (world.IsLeader)
        {
            Console.WriteLine(Write(whole, options.Seed));
        }

        SampleProgram.ShowResult(trainer, world, result, clock.Elapsed);
    }

    private static TensorDataset Windows(ReadOnlySpan<long> text, int stride, int most)
    {
        int count = Math.Min(most, ((text.Length - CharGpt.Context - 1) / stride) + 1);
        long[] inputs = new long[count * CharGpt.Context], targets = new long[count * CharGpt.Context];
        for (int i = 0; i < count; i++)
        {
            text.Slice(i * stride, CharGpt.Context).CopyTo(inputs.AsSpan(i * CharGpt.Context));
            text.Slice((i * stride) + 1, CharGpt.Context).CopyTo(targets.AsSpan(i * CharGpt.Context));
        }

        using Tensor input = tensor(inputs, [count, CharGpt.Context]), target = tensor(targets, [count, CharGpt.Context]);
        return new TensorDataset(input, target);
    }

    // One character after the other, drawn from the model's probabilities.
    private static string Write(CharGpt model, long seed)
    {
        using IDisposable noGrad = no_grad();
        using Generator random = new((ulong)seed);
        model.eval();
        List<long> written = [.. Characters.Encode("\n", "start")];
        StringBuilder result = new();
        for (int i = 0; i < WrittenCharacters; i++)
        {
            using DisposeScope scope = NewDisposeScope();
            int known = Math.Min(written.Count, CharGpt.Context);
            Tensor scores = model.forward(tensor(written.GetRange(written.Count - known, known).ToArray(), [1, known]))[0, -1];
            long next = multinomial(scores.to_type(ScalarType.Float32).softmax(0), 1, generator: random).item<long>();
            written.Add(next);
            result.Append(Characters.Decode(next));
        }

        return result.ToString();
    }
}
