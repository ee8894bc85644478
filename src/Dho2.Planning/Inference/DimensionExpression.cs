using System;
using System.Globalization;

namespace Dho2.Planning.Inference;

/// <summary>
/// Evaluates expressions over dimensions: numbers, names, <c>+ - * /</c> and parentheses. Division rounds towards minus
/// infinity where it is by a number, and must come out even by a symbol.
/// </summary>
internal sealed class DimensionExpression
{
    private readonly string text;
    private readonly Func<string, Dimension?> valueOf;
    private int at;

    private DimensionExpression(string text, Func<string, Dimension?> valueOf)
    {
        this.text = text;
        this.valueOf = valueOf;
    }

    /// <summary>The value; unknown where a part of it is.</summary>
    /// <param name="text">The expression.</param>
    /// <param name="valueOf">The value of a name; null for a name that there is not.</param>
    /// <exception cref="FormatException">The expression cannot be read.</exception>
    public static Dimension Evaluate(string text, Func<string, Dimension?> valueOf)
    {
        var expression = new DimensionExpression(text, valueOf);
        Dimension value = expression.Sum(0);
        return expression.Next == '\0' ? value : throw new FormatException($"'{expression.Next}' is not expected in \"{text}\"");
    }

    private char Next
    {
        get
        {
            while (at < text.Length && char.IsWhiteSpace(text[at]))
            {
                at++;
            }

            return at < text.Length ? text[at] : '\0';
        }
    }

    private Dimension Sum(int depth)
    {
        Dimension sum = Product(depth);
        while (Next is '+' or '-')
        {
            char sign = text[at++];
            Dimension term = Product(depth);
            sum = sign == '+' ? sum + term : sum - term;
        }

        return sum;
    }

    private Dimension Product(int depth)
    {
        Dimension product = Factor(depth);
        while (Next is '*' or '/')
        {
            char sign = text[at++];
            Dimension factor = Factor(depth);
            product = sign == '*' ? product * factor : factor.IsNumber ? product.FloorDivide(factor.Number) : product.DivideExactly(factor);
        }

        return product;
    }

    private Dimension Factor(int depth)
    {
        if (depth > 64)
        {
            throw new FormatException($"\"{text}\" is nested too deeply");
        }

        switch (Next)
        {
            case '(':
                at++;
                Dimension inner = Sum(depth + 1);
                if (Next != ')')
                {
                    throw new FormatException($"a parenthesis is not closed in \"{text}\"");
                }

                at++;
                return inner;
            case '-':
                at++;
                return Dimension.Of(0) - Factor(depth + 1);
            case >= '0' and <= '9':
                string digits = Token();
                return long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out long number)
                    ? Dimension.Of(number)
                    : throw new FormatException($"'{digits}' is no number in \"{text}\"");
            case var c when char.IsLetter(c) || c == '_':
                string name = Token();
                return valueOf(name) ?? throw new FormatException($"there is no '{name}' in \"{text}\"");
            case '\0':
                throw new FormatException($"something is missing at the end of \"{text}\"");
            case var other:
                throw new FormatException($"'{other}' is not expected in \"{text}\"");
        }
    }

    private string Token()
    {
        int start = at;
        while (at < text.Length && (char.IsLetterOrDigit(text[at]) || text[at] == '_'))
        {
            at++;
        }

        return text.Substring(start, at - start);
    }
}
