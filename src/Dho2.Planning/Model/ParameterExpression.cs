using System;
using System.Collections.Generic;
using System.Globalization;

namespace Dho2.Planning;

/// <summary>
/// Evaluates what a <see cref="ModuleDescription"/> says over the parameters of a constructor: integers and truth values,
/// <c>+ - * /</c>, comparisons, <c>! &amp;&amp; ||</c> and parentheses, as C# means them.
/// </summary>
internal sealed class ParameterExpression
{
    // Truth values are 0 and 1; null is what the arguments do not tell.
    private readonly string text;
    private readonly IReadOnlyDictionary<string, Argument> arguments;
    private int at;
    private int depth;

    private ParameterExpression(string text, IReadOnlyDictionary<string, Argument> arguments)
    {
        this.text = text;
        this.arguments = arguments;
    }

    /// <summary>The value, 0 or 1 for a condition; null where the arguments do not tell, or the expression cannot be read.</summary>
    public static long? Evaluate(string text, IReadOnlyDictionary<string, Argument> arguments)
    {
        try
        {
            var expression = new ParameterExpression(text, arguments);
            long? value = expression.Or();
            return expression.at == text.Length ? value : null;
        }
        catch (Exception exception) when (exception is FormatException or ArithmeticException)
        {
            return null;
        }
    }

    private long? Or()
    {
        long? value = And();
        while (TryTake("||"))
        {
            long? other = And();
            value = value == 1 || other == 1 ? 1 : value is null || other is null ? null : 0;
        }

        return value;
    }

    private long? And()
    {
        long? value = Comparison();
        while (TryTake("&&"))
        {
            long? other = Comparison();
            value = value == 0 || other == 0 ? 0 : value is null || other is null ? null : 1;
        }

        return value;
    }

    private long? Comparison()
    {
        long? left = Sum();
        foreach (string sign in new[] { "==", "!=", "<=", ">=", "<", ">" })
        {
            if (TryTake(sign))
            {
                return Sum() is { } b && left is { } a ? (Holds(sign, a.CompareTo(b)) ? 1 : 0) : null;
            }
        }

        return left;
    }

    private static bool Holds(string sign, int order) => sign switch
    {
        "==" => order == 0,
        "!=" => order != 0,
        "<=" => order <= 0,
        ">=" => order >= 0,
        "<" => order < 0,
        _ => order > 0,
    };

    private long? Sum()
    {
        long? value = Product();
        while (true)
        {
            if (TryTake("+"))
            {
                value = checked(value + Product());
            }
            else if (TryTake("-"))
            {
                value = checked(value - Product());
            }
            else
            {
                return value;
            }
        }
    }

    private long? Product()
    {
        long? value = Factor();
        while (true)
        {
            if (TryTake("*"))
            {
                value = checked(value * Factor());
            }
            else if (TryTake("/"))
            {
                value /= Factor();
            }
            else if (TryTake("%"))
            {
                value %= Factor();
            }
            else
            {
                return value;
            }
        }
    }

    private long? Factor()
    {
        if (++depth > 256)
        {
            throw new FormatException();
        }

        long? value;
        if (TryTake("("))
        {
            value = Or();
            if (!TryTake(")"))
            {
                throw new FormatException();
            }
        }
        else if (TryTake("!"))
        {
            value = 1 - Factor();
        }
        else if (TryTake("-"))
        {
            value = checked(-Factor());
        }
        else
        {
            value = Name();
        }

        depth--;
        return value;
    }

    private long? Name()
    {
        int start = at;
        while (at < text.Length && (char.IsLetterOrDigit(text[at]) || text[at] == '_'))
        {
            at++;
        }

        string name = text.Substring(start, at - start);
        return name.Length == 0 ? throw new FormatException()
            : char.IsDigit(name[0]) ? long.Parse(name, NumberStyles.None, CultureInfo.InvariantCulture)
            : arguments.TryGetValue(name, out Argument? given) && given.Kind is ArgumentKind.Integer or ArgumentKind.Boolean ? given.Integer
            : null;
    }

    private bool TryTake(string sign)
    {
        if (string.CompareOrdinal(text, at, sign, 0, sign.Length) != 0)
        {
            return false;
        }

        // An exclamation mark alone is a negation, with an equals sign behind it a comparison.
        if (sign == "!" && at + 1 < text.Length && text[at + 1] == '=')
        {
            return false;
        }

        at += sign.Length;
        return true;
    }
}
