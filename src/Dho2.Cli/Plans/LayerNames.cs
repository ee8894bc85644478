using System.Collections.Generic;
using System.Globalization;
using System.Linq;

namespace Dho2.Cli.Plans;

/// <summary>The names of a stage's layers, in few words: a list's neighbours are named by the first and the last of them.</summary>
internal static class LayerNames
{
    // Two are as long by themselves.
    private const int ShortestRun = 3;

    /// <summary>The names as one text, such as <c>conv, blocks.0 to blocks.12, head</c>.</summary>
    public static string Text(IEnumerable<string> layers)
    {
        string[] names = [.. layers];
        List<string> words = [];
        for (int i = 0; i < names.Length;)
        {
            int count = 1;
            while (i + count < names.Length && Follows(names[i + count - 1], names[i + count]))
            {
                count++;
            }

            words.AddRange(count < ShortestRun ? names.Skip(i).Take(count) : [$"{names[i]} to {names[i + count - 1]}"]);
            i += count;
        }

        return string.Join(", ", words);
    }

    private static bool Follows(string before, string name) =>
        Split(before) is var (list, index) && Split(name) == (list, index + 1);

    private static (string List, int Index)? Split(string name) =>
        name.LastIndexOf('.') is > 0 and var dot && int.TryParse(name[(dot + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out int index)
            ? (name[..dot], index) : null;
}
