using System;
using System.Collections.Generic;
using System.Linq;
using System.Reflection;
using System.Runtime.Loader;
using Dho2.Pipelines;
using static TorchSharp.torch;

namespace Dho2.Generators.Tests;

/// <summary>A generated pipeline, loaded, with its stages called one after the other as the runtime does: every cut is detached.</summary>
internal sealed class StageChain
{
    private readonly Type type;

    public StageChain(Generation generation)
    {
        (System.IO.MemoryStream assembly, System.IO.MemoryStream symbols) = generation.Emit();
        var context = new AssemblyLoadContext(null, isCollectible: false);
        context.Resolving += static (_, name) => AppDomain.CurrentDomain.GetAssemblies().FirstOrDefault(a => a.GetName().Name == name.Name);
        type = context.LoadFromStream(assembly, symbols).GetTypes().Single(t => t.GetCustomAttribute<PipelineAttribute>() is not null);
        Definition = (PipelineDefinition)type.GetProperties(BindingFlags.Static | BindingFlags.Public)
            .Single(p => p.PropertyType == typeof(PipelineDefinition))
            .GetValue(null)!;
    }

    public PipelineDefinition Definition { get; }

    /// <summary>The unsplit model's results and gradients by parameter name.</summary>
    public (Tensor[] Results, Dictionary<string, Tensor> Gradients) RunUnsplit(long seed, Tensor[] inputs)
    {
        nn.Module model = Definition.Unsplit(seed);
        model.eval();
        object result = type.GetMethod("forward")!.Invoke(model, [.. inputs.Select(t => (object)t.clone())])!;
        Tensor[] results = result is Tensor single ? [single] : [.. Elements((System.Runtime.CompilerServices.ITuple)result)];
        Backward(results);
        return (results, model.named_parameters().Where(p => p.parameter.grad is not null).ToDictionary(p => p.name, p => p.parameter.grad!));
    }

    /// <summary>The stages' results and gradients by parameter name.</summary>
    public (Tensor[] Results, Dictionary<string, Tensor> Gradients) RunStages(long seed, Tensor[] inputs)
    {
        IPipelineStage[] stages = [.. Definition.Stages.Select(create => create(new StageContext(seed)))];
        var calls = new List<(Tensor[] Inputs, Tensor[] Outputs)>();
        Tensor[] values = [.. inputs.Select(t => t.clone())];
        foreach (IPipelineStage stage in stages)
        {
            foreach (StageLayer layer in stage.Layers)
            {
                layer.Module?.eval();
            }

            Tensor[] outputs = stage.Forward(values);
            calls.Add((values, outputs));
            values = [.. outputs.Select(t => t.is_floating_point() ? t.detach().requires_grad_() : t.detach())];
        }

        Tensor[] results = calls[^1].Outputs;
        Backward(results);
        for (int i = calls.Count - 2; i >= 0; i--)
        {
            for (int j = 0; j < calls[i].Outputs.Length; j++)
            {
                if (calls[i].Outputs[j].requires_grad && calls[i + 1].Inputs[j].grad is { } gradient)
                {
                    autograd.backward([calls[i].Outputs[j]], [gradient], retain_graph: true);
                }
            }
        }

        return (results, stages.SelectMany(GradientsOf).ToDictionary(g => g.Name, g => g.Gradient));
    }

    private static void Backward(Tensor[] results)
    {
        Tensor[] loss = [.. results.Where(r => r.requires_grad)];
        autograd.backward(loss, [.. loss.Select(r => linspace(0.5, 1.5, r.numel(), r.dtype).view(r.shape))], retain_graph: true);
    }

    private static IEnumerable<(string Name, Tensor Gradient)> GradientsOf(IPipelineStage stage)
    {
        foreach (StageLayer layer in stage.Layers)
        {
            IEnumerable<(string Name, Tensor? Gradient)> gradients = layer.Parameter is { } parameter
                ? [(layer.Name, parameter.grad)]
                : layer.Module!.named_parameters().Select(p => ($"{layer.Name}.{p.name}", p.parameter.grad));
            foreach ((string name, Tensor? gradient) in gradients)
            {
                if (gradient is not null)
                {
                    yield return (name, gradient);
                }
            }
        }
    }

    private static IEnumerable<Tensor> Elements(System.Runtime.CompilerServices.ITuple tuple) =>
        Enumerable.Range(0, tuple.Length).Select(i => (Tensor)tuple[i]!);

}
