using System;
using System.Collections.Generic;
using System.Linq;
using System.Reflection;
using System.Runtime.CompilerServices;
using TorchSharp;

namespace Dho2.Planning.Tests.Catalogue;

/// <summary>
/// Makes a call with TorchSharp itself, found by reflection under the names and parameter names of descriptions: so
/// that these are tested as well.
/// </summary>
internal static class TorchOracle
{
    private const BindingFlags Anything = BindingFlags.Public | BindingFlags.Static | BindingFlags.Instance;

    private static readonly Dictionary<string, string> Operators = new()
    {
        ["+"] = "op_Addition",
        ["-"] = "op_Subtraction",
        ["*"] = "op_Multiply",
        ["/"] = "op_Division",
        ["%"] = "op_Modulus",
        ["=="] = "op_Equality",
        ["!="] = "op_Inequality",
        ["<"] = "op_LessThan",
        ["<="] = "op_LessThanOrEqual",
        [">"] = "op_GreaterThan",
        [">="] = "op_GreaterThanOrEqual",
    };

    /// <summary>What a call gives: the tensors of its result, and the state of its layer.</summary>
    internal sealed record Outcome(
        IReadOnlyList<TensorFacts> Results,
        IReadOnlyList<(string Name, TensorFacts Facts)> Parameters,
        IReadOnlyList<(string Name, TensorFacts Facts)> Buffers);

    internal sealed record TensorFacts(long[] Shape, DType Type, bool RequiresGradient)
    {
        public override string ToString() => $"{ElementTypes.NameOf(Type)}({string.Join(", ", Shape)}){(RequiresGradient ? " with gradient" : "")}";
    }

    /// <summary>Makes the call; null where TorchSharp refuses it.</summary>
    public static Outcome? Run(CallCase call)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        try
        {
            return call.Layer is null
                ? new(ResultsOf(Invoke(call.Name, call.Arguments)), [], [])
                : RunLayer(call);
        }
        catch (TargetInvocationException)
        {
            return null;
        }
    }

    /// <summary>
    /// Whether the gradient of a call can be differentiated again: of the sum of the squares of its results, with respect
    /// to its tensors and its layer's parameters. Null where there is no first gradient. Ends the process where libtorch does.
    /// </summary>
    public static bool? HasSecondDerivative(CallCase call)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        List<torch.Tensor> made = Leaves = [];
        try
        {
            object? result = call.Layer is null ? Invoke(call.Name, call.Arguments) : RunForward(call, out _, module => made.AddRange(module.parameters()));
            torch.Tensor[] results = [.. TensorsOf(result).Where(t => t.requires_grad && t.is_floating_point())];
            if (results.Length == 0)
            {
                return null;
            }

            torch.Tensor sum = results.Select(r => (r * r).sum()).Aggregate((a, b) => a + b);
            torch.Tensor[] leaves = [.. made.Where(t => t.requires_grad && t.is_leaf)];
            torch.autograd.backward([sum], null, retain_graph: true, create_graph: true, inputs: leaves);
            torch.Tensor[] gradients = [.. leaves.Select(leaf => leaf.grad).Where(g => g is not null && g.requires_grad)!];
            if (gradients.Length == 0)
            {
                return null;
            }

            torch.Tensor squares = gradients.Select(g => (g * g).sum()).Aggregate((a, b) => a + b);
            foreach (torch.Tensor leaf in leaves)
            {
                leaf.grad = null;
            }

            try
            {
                torch.autograd.backward([squares], null, retain_graph: false, create_graph: false, inputs: leaves);
                return true;
            }
            catch (Exception e) when (e is System.Runtime.InteropServices.ExternalException or InvalidOperationException or NotSupportedException)
            {
                return false;
            }
        }
        catch (Exception e) when (e is TargetInvocationException or System.Runtime.InteropServices.ExternalException)
        {
            return null;
        }
        finally
        {
            Leaves = null;
        }
    }

    [ThreadStatic]
    private static List<torch.Tensor>? Leaves;

    private static IEnumerable<torch.Tensor> TensorsOf(object? result) => result switch
    {
        torch.Tensor tensor => [tensor],
        torch.Tensor[] tensors => tensors,
        ITuple tuple => Enumerable.Range(0, tuple.Length).SelectMany(i => TensorsOf(tuple[i])),
        _ => [],
    };

    private static Outcome RunLayer(CallCase call)
    {
        object? result = RunForward(call, out torch.nn.Module module);
        using (module)
        {
            return new(
                ResultsOf(result),
                module.named_parameters().Select(p => (p.name, FactsOf(p.parameter))).ToArray(),
                module.named_buffers().Select(b => (b.name, FactsOf(b.buffer))).ToArray());
        }
    }

    private static object? RunForward(CallCase call, out torch.nn.Module module, Action<torch.nn.Module>? made = null)
    {
        string factory = call.Name[(call.Name.LastIndexOf('.') + 1)..];
        module = (torch.nn.Module)Call(Candidates(typeof(torch.nn), factory), call.Layer!, null, call.Name)!;
        MethodInfo[] forwards = module.GetType().GetMethods(Anything).Where(m => m.Name == "forward").ToArray();
        made?.Invoke(module);
        object?[] values = call.Arguments.Select(a => a.Value is TensorSpec[] { Length: 2 } pair
            ? ((torch.Tensor)TensorOf(pair[0]), (torch.Tensor)TensorOf(pair[1]))
            : a.Value is null ? null : TensorOf(a.Value)).ToArray();
        MethodInfo forward = forwards.OrderBy(f => f.GetParameters().Length).First(f => f.GetParameters().Length >= values.Length);
        object?[] all = values.Concat(forward.GetParameters().Skip(values.Length).Select(p => p.HasDefaultValue ? p.DefaultValue : null)).ToArray();
        return forward.Invoke(module, all);
    }

    private static object? Invoke(string name, (string Name, object? Value)[] arguments)
    {
        string method = name[(name.LastIndexOf('.') + 1)..];
        if (name.StartsWith("operator ", StringComparison.Ordinal))
        {
            string op = name["operator ".Length..];
            return arguments.Length == 1
                ? Call(Candidates(typeof(torch.Tensor), "op_UnaryNegation"), [("tensor", arguments[0].Value)], null, name)
                : Call(Candidates(typeof(torch.Tensor), Operators[op]), arguments, null, name);
        }

        if (name.StartsWith("Tensor.", StringComparison.Ordinal))
        {
            var target = (torch.Tensor)TensorOf(arguments.Single(a => a.Name == "this").Value!);
            if (typeof(torch.Tensor).GetProperty(method) is { } property)
            {
                return property.GetValue(target);
            }

            IEnumerable<MethodInfo> methods = Candidates(typeof(torch.Tensor), method).Where(m => !m.IsStatic);
            return Call(methods, arguments.Where(a => a.Name != "this").ToArray(), target, name);
        }

        Type home = name.StartsWith("TorchSharp.torch.nn.functional.", StringComparison.Ordinal) ? typeof(torch.nn.functional)
            : name.StartsWith("TorchSharp.torch.special.", StringComparison.Ordinal) ? typeof(torch.special)
            : typeof(torch);
        return Call(Candidates(home, method), arguments, null, name);
    }

    /// <summary>Whether TorchSharp has an operation of this name.</summary>
    public static bool Exists(string name)
    {
        string method = name[(name.LastIndexOf('.') + 1)..];
        Type? home = name.StartsWith("Tensor.", StringComparison.Ordinal) ? typeof(torch.Tensor)
            : name == "TorchSharp.torch.nn.functional." + method ? typeof(torch.nn.functional)
            : name == "TorchSharp.torch.special." + method ? typeof(torch.special)
            : name == "TorchSharp.torch." + method ? typeof(torch)
            : null;
        return home is not null && (Candidates(home, method).Any(m => m.IsStatic != (home == typeof(torch.Tensor))) || home.GetProperty(method) is not null);
    }

    private static IEnumerable<MethodInfo> Candidates(Type type, string name) =>
        type.GetMethods(Anything).Where(m => m.Name == name && !m.IsGenericMethod);

    private static object? Call(IEnumerable<MethodInfo> methods, (string Name, object? Value)[] arguments, object? target, string name)
    {
        foreach (MethodInfo method in methods)
        {
            ParameterInfo[] parameters = method.GetParameters();
            if (arguments.Any(a => parameters.All(p => p.Name != a.Name)))
            {
                continue;
            }

            var values = new object?[parameters.Length];
            bool fits = true;
            for (int i = 0; i < parameters.Length && fits; i++)
            {
                int given = Array.FindIndex(arguments, a => a.Name == parameters[i].Name);
                fits = given >= 0 ? TryConvert(arguments[given].Value, parameters[i].ParameterType, out values[i])
                    : parameters[i].HasDefaultValue;
                if (given < 0 && fits)
                {
                    values[i] = parameters[i].DefaultValue;
                }
            }

            if (fits)
            {
                return method.Invoke(target, values);
            }
        }

        throw new MissingMethodException($"No overload of {name} takes ({string.Join(", ", arguments.Select(a => $"{a.Name}: {a.Value ?? "null"}"))}).");
    }

    private static bool TryConvert(object? value, Type type, out object? converted)
    {
        Type target = Nullable.GetUnderlyingType(type) ?? type;
        converted = value switch
        {
            TensorSpec spec when target == typeof(torch.Tensor) => TensorOf(spec),
            TensorSpec[] specs when target.IsAssignableFrom(typeof(torch.Tensor[])) => specs.Select(s => (torch.Tensor)TensorOf(s)).ToArray(),
            long n when target == typeof(long) => n,
            long n when target == typeof(int) => (int)n,
            long n when target == typeof(Scalar) => n.ToScalar(),
            long n when target == typeof(double) => (double)n,
            double n when target == typeof(double) => n,
            double n when target == typeof(float) => (float)n,
            double n when target == typeof(Scalar) => n.ToScalar(),
            bool b when target == typeof(bool) => b,
            string text when target.IsEnum && Enum.IsDefined(target, text) => Enum.Parse(target, text),
            string text when target == typeof(string) => text,
            long[] numbers when target == typeof(long[]) => numbers,
            long[] numbers when target.IsAssignableTo(typeof(ITuple)) && target.GetGenericArguments().Length == numbers.Length =>
                Activator.CreateInstance(target, numbers.Cast<object>().ToArray()),
            _ => null,
        };
        return converted is not null || (value is null && (!type.IsValueType || Nullable.GetUnderlyingType(type) is not null));
    }

    private static object TensorOf(object value)
    {
        if (value is not TensorSpec spec)
        {
            return value;
        }

        torch.Tensor made = spec.Type switch
        {
            DType.Float32 or DType.Float64 or DType.BFloat16 or DType.Float16 =>
                torch.rand(spec.Shape, dtype: TypeOf(spec.Type)).requires_grad_(),
            _ => torch.zeros(spec.Shape, dtype: TypeOf(spec.Type)),
        };
        Leaves?.Add(made);
        return made;
    }

    private static IReadOnlyList<TensorFacts> ResultsOf(object? result) => result switch
    {
        torch.Tensor tensor => [FactsOf(tensor)],
        torch.Tensor[] tensors => tensors.Select(FactsOf).ToArray(),
        ITuple tuple => Enumerable.Range(0, tuple.Length).SelectMany(i => ResultsOf(tuple[i])).ToArray(),
        _ => throw new NotSupportedException($"A result of {result?.GetType().Name ?? "null"}"),
    };

    private static TensorFacts FactsOf(torch.Tensor tensor) => new(tensor.shape, TypeOf(tensor.dtype), tensor.requires_grad);

    private static torch.ScalarType TypeOf(DType type) => type switch
    {
        DType.UInt8 => torch.ScalarType.Byte,
        _ => Enum.Parse<torch.ScalarType>(type.ToString()),
    };

    private static DType TypeOf(torch.ScalarType type) => type switch
    {
        torch.ScalarType.Byte => DType.UInt8,
        _ => Enum.Parse<DType>(type.ToString()),
    };
}
