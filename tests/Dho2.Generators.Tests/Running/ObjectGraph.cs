using System;
using System.Collections;
using System.Collections.Generic;
using System.Reflection;

namespace Dho2.Generators.Tests;

/// <summary>Walks over everything that can be reached from an object.</summary>
internal static class ObjectGraph
{
    public static void Visit(object? node, HashSet<object> seen, Action<object> visit)
    {
        if (node is null || node.GetType().IsPrimitive || node is string or Enum || (!node.GetType().IsValueType && !seen.Add(node)))
        {
            return;
        }

        visit(node);
        if (node is Array { Rank: 1 } array)
        {
            foreach (object? item in (IEnumerable)array)
            {
                Visit(item, seen, visit);
            }

            return;
        }

        for (Type? type = node.GetType(); type is not null; type = type.BaseType)
        {
            foreach (FieldInfo field in type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly))
            {
                Visit(field.GetValue(node), seen, visit);
            }
        }
    }
}
