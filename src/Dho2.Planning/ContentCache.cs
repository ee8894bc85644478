using System;
using System.Collections.Generic;

namespace Dho2.Planning;

/// <summary>
/// Results of searches by what was searched for: while a class is typed, the same is asked again and again. The oldest go first.
/// </summary>
/// <param name="capacity">The most results that are kept.</param>
internal sealed class ContentCache<TKey, TValue>(int capacity)
    where TKey : notnull
{
    private readonly object gate = new();
    private readonly Dictionary<TKey, TValue> known = [];
    private readonly Queue<TKey> order = new();

    /// <summary>The result for a key; a search that throws leaves nothing behind.</summary>
    public TValue Get(TKey key, Func<TValue> search)
    {
        lock (gate)
        {
            if (known.TryGetValue(key, out TValue? result))
            {
                return result;
            }
        }

        TValue found = search();
        lock (gate)
        {
            if (!known.ContainsKey(key))
            {
                known[key] = found;
                order.Enqueue(key);
                if (order.Count > capacity)
                {
                    known.Remove(order.Dequeue());
                }
            }
        }

        return found;
    }
}
