using System;
using System.Collections;
using System.Collections.Generic;
using System.Linq;
using System.Reflection;
using System.Runtime.CompilerServices;
using TorchSharp;

namespace Dho2.Benchmarks.Memory;

/// <summary>The bytes of all tensors that an object holds, directly or through others; memory that tensors share counts once.</summary>
internal sealed class OwnedTensors
{
    private readonly HashSet<object> seen = new(ReferenceEqualityComparer.Instance);
    private readonly Dictionary<long, long> storages = [];

    /// <summary>Counts the bytes.</summary>
    public static long BytesOf(object root)
    {
        var walk = new OwnedTensors();
        var waiting = new Stack<object>();
        waiting.Push(root);
        while (waiting.TryPop(out object? item))
        {
            if (walk.seen.Add(item))
            {
                foreach (object child in walk.Visit(item))
                {
                    waiting.Push(child);
                }
            }
        }

        return walk.storages.Values.Sum();
    }

    private IEnumerable<object> Visit(object item)
    {
        if (item is torch.Tensor tensor)
        {
            // A handle that is gone holds nothing.
            if (tensor.IsInvalid)
            {
                return [];
            }

            Add(tensor);
            return tensor.grad is { } gradient ? [gradient] : [];
        }

        if (item is torch.nn.Module module)
        {
            return [.. module.parameters(), .. module.buffers()];
        }

        if (item is Array { Rank: 1 } array && item.GetType().GetElementType() is { IsPrimitive: false })
        {
            return array.Cast<object?>().OfType<object>();
        }

        Type type = item.GetType();
        return type.IsPrimitive || item is string or Type or Delegate or MemberInfo || type.Namespace?.StartsWith("System.Threading", StringComparison.Ordinal) == true
            ? []
            : Fields(type).Select(field => field.GetValue(item)).OfType<object>().Where(value => !value.GetType().IsPrimitive);
    }

    private static IEnumerable<FieldInfo> Fields(Type? type)
    {
        for (; type is not null && type != typeof(object); type = type.BaseType)
        {
            foreach (FieldInfo field in type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly)
                .Where(field => !field.FieldType.IsPointer && !field.FieldType.IsByRefLike))
            {
                yield return field;
            }
        }
    }

    private void Add(torch.Tensor tensor)
    {
        if (tensor.numel() > 0)
        {
            (long address, long bytes) = tensor.dtype switch
            {
                torch.ScalarType.Float32 => (tensor.storage<float>().data_ptr().ToInt64(), (long)tensor.storage<float>().nbytes()),
                torch.ScalarType.Float64 => (tensor.storage<double>().data_ptr().ToInt64(), (long)tensor.storage<double>().nbytes()),
                torch.ScalarType.Int64 => (tensor.storage<long>().data_ptr().ToInt64(), (long)tensor.storage<long>().nbytes()),
                _ => throw new NotSupportedException($"A tensor of {tensor.dtype}."),
            };
            storages[address] = bytes;
        }
    }
}
