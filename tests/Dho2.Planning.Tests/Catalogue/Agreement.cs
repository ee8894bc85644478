using System;
using System.Collections.Generic;
using System.Linq;
using CsCheck;

namespace Dho2.Planning.Tests.Catalogue;

/// <summary>Compares the catalogue with TorchSharp.</summary>
internal static class Agreement
{
    private static readonly Dimension Symbol = Dimension.Of("N");

    // Set to 100 or so after a change to the catalogue, for as many random calls more: by itself a test run repeats the
    // same calls, so that it fails for what was changed and for nothing else.
    private static readonly int Factor = int.TryParse(Environment.GetEnvironmentVariable("DHO2_CATALOGUE_FACTOR"), out int factor) ? factor : 0;

    /// <summary>Where calls are collected in place of being checked; null where they are checked.</summary>
    [ThreadStatic]
    public static List<CallCase>? Collected;

    /// <summary>Checks random calls of one operation or layer.</summary>
    public static void Check(Gen<CallCase> calls, int iterations = 50)
    {
        if (Collected is { } collected)
        {
            collected.AddRange(Enumerable.Range(0, Math.Min(iterations, 6)).Select(i => calls.Generate(new PCG(1, (ulong)i), null, out _)));
            return;
        }

        for (int i = 0; i < iterations; i++)
        {
            Check(calls.Generate(new PCG(1, (ulong)i), null, out _));
        }

        if (Factor > 0)
        {
            calls.Sample(Check, iter: iterations * Factor, print: c => c.ToString());
        }
    }

    /// <summary>
    /// Checks one call. What torch does must be inferred in full; what torch refuses must be reported or left unknown;
    /// with a symbol in place of the first dimension nothing wrong may be inferred.
    /// </summary>
    public static void Check(CallCase call)
    {
        TorchOracle.Outcome? actual = TorchOracle.Run(call);
        ModelDescription model = call.ToModel();
        TensorType[] inputs = call.Tensors.Select(t => new TensorType(t.Shape.Select(Dimension.Of).ToEquatableArray(), t.Type)).ToArray();
        InferenceResult inferred = ShapeInference.Infer(model, inputs);
        IReadOnlyList<InferredValue> results = Flatten(inferred.Values[^1]).ToArray();
        if (actual is null)
        {
            Assert.True(
                inferred.Problems.Count > 0 || results.All(r => r.Type is null || r.Shape!.Value.Any(d => !d.IsKnown)),
                $"{call}: torch refuses it, inference gives {inferred.Values[^1]}");
            return;
        }

        Assert.True(inferred.Problems.Count == 0, $"{call}: torch gives {actual.Results[0]}, inference {string.Join("; ", inferred.Problems.Select(p => p.Message))}");
        Assert.Equal(Show(actual.Results), results.Select(r => r.ToString() + (r.Differentiable ? " with gradient" : "")).ToArray());
        if (call.Layer is not null)
        {
            Assert.Equal(Show(actual.Parameters), Show(inferred.Layers[0].Parameters));
            Assert.Equal(Show(actual.Buffers), Show(inferred.Layers[0].Buffers));
        }

        CheckWithSymbol(call, model, inputs, actual);
    }

    /// <summary>The message that inference has about a call of tensors with the given shapes, such as <c>(N, 3)</c>.</summary>
    public static string ProblemOf(string name, params (string Name, string Shape)[] tensors)
    {
        CallCase call = new(name, tensors.Select(t => (t.Name, (object?)new TensorSpec())).ToArray());
        TensorType[] inputs = tensors.Select(t => new TensorType(Parse(t.Shape), DType.Float32)).ToArray();
        return ShapeInference.Infer(call.ToModel(), inputs).Problems.Single().Message;
    }

    private static EquatableArray<Dimension> Parse(string shape) =>
        shape.Trim('(', ')').Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Select(d => long.TryParse(d, out long size) ? Dimension.Of(size) : Dimension.Of(d)).ToEquatableArray();

    private static void CheckWithSymbol(CallCase call, ModelDescription model, TensorType[] inputs, TorchOracle.Outcome actual)
    {
        // Another tensor's dimension of the same size need not be the symbol: only single tensors are tried.
        if (inputs.Length != 1 || inputs[0].Shape.Count == 0 || call.Tensors[0].Shape[0] == 0)
        {
            return;
        }

        long size = call.Tensors[0].Shape[0];
        TensorType symbolic = inputs[0] with { Shape = inputs[0].Shape.Select((d, i) => i == 0 ? Symbol : d).ToEquatableArray() };
        InferenceResult inferred = ShapeInference.Infer(model, [symbolic]);
        Assert.True(inferred.Problems.Count == 0, $"{call} with a symbol: {string.Join("; ", inferred.Problems.Select(p => p.Message))}");
        InferredValue[] results = Flatten(inferred.Values[^1]).ToArray();
        if (results.Any(r => r.Shape is null) || (size == 1 && call.Name.EndsWith("squeeze", StringComparison.Ordinal)))
        {
            return;
        }

        for (int i = 0; i < results.Length; i++)
        {
            long?[] sizes = results[i].Shape!.Value.Select(d => d.Evaluate(_ => size)).ToArray();
            Assert.Equal(actual.Results[i].Shape.Length, sizes.Length);
            Assert.All(sizes.Zip(actual.Results[i].Shape), pair => Assert.True(pair.First is null || pair.First == pair.Second, $"{call} with a symbol"));
        }
    }

    /// <summary>What the catalogue says about the second derivative of a call.</summary>
    public static bool? SecondDerivativeOf(CallCase call)
    {
        TensorType[] inputs = call.Tensors.Select(t => new TensorType(t.Shape.Select(Dimension.Of).ToEquatableArray(), t.Type)).ToArray();
        return ShapeInference.Infer(call.ToModel(), inputs).Operations.Single().HasSecondDerivative;
    }

    private static IEnumerable<InferredValue> Flatten(InferredValue value) =>
        value.Kind == InferredKind.List ? value.Items.SelectMany(Flatten) : [value];

    private static string[] Show(IReadOnlyList<TorchOracle.TensorFacts> facts) =>
        facts.Select(f => $"{ElementTypes.NameOf(f.Type)} ({string.Join(", ", f.Shape)}){(f.RequiresGradient ? " with gradient" : "")}").ToArray();

    private static string Show(IReadOnlyList<(string Name, TorchOracle.TensorFacts Facts)> state) =>
        string.Join("; ", state.Select(s => $"layer.{s.Name} {ElementTypes.NameOf(s.Facts.Type)}({string.Join(", ", s.Facts.Shape)})"));

    private static string Show(EquatableArray<ParameterPlan>? state) =>
        state is null ? "unknown" : string.Join("; ", state.Value.Select(p => $"{p.Name} {ElementTypes.NameOf(p.DType)}({string.Join(", ", p.Shape)})"));
}
