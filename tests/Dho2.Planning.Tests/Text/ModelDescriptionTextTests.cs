using System;
using System.Globalization;
using System.Linq;
using CsCheck;

namespace Dho2.Planning.Tests.Text;

public class ModelDescriptionTextTests
{
    [Fact]
    public void EveryDescriptionIsReadBackExactly() =>
        RandomDescriptions.Model.Sample(model => ModelDescriptionText.Parse(ModelDescriptionText.Write(model)) == model, iter: 500);

    [Fact]
    public void EveryNumberIsReadBackToTheLastBit() =>
        Gen.OneOf(Gen.Double, Gen.Double.Special, Gen.Const(-0.0), Gen.Double[1e-10, 1e10]).Sample(number =>
        {
            ModelDescription model = WithArgument(Argument.OfNumber("p", number));
            double back = ModelDescriptionText.Parse(ModelDescriptionText.Write(model)).Operations[0].Arguments[0].Number;
            return BitConverter.DoubleToInt64Bits(back) == BitConverter.DoubleToInt64Bits(number);
        });

    [Fact]
    public void TheTextDoesNotDependOnTheCulture()
    {
        ModelDescription model = WithArgument(Argument.OfNumber("p", -1234567.25));
        string expected = ModelDescriptionText.Write(model);
        CultureInfo before = CultureInfo.CurrentCulture;
        var odd = (CultureInfo)CultureInfo.InvariantCulture.Clone();
        odd.NumberFormat.NumberDecimalSeparator = ",";
        odd.NumberFormat.NegativeSign = "~";
        try
        {
            CultureInfo.CurrentCulture = odd;
            Assert.Equal(expected, ModelDescriptionText.Write(model));
            Assert.Equal(model, ModelDescriptionText.Parse(expected));
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
    }

    [Fact]
    public void DamageIsRefusedWithAnOffsetOrReadAsAnotherDescription() =>
        Gen.Select(RandomDescriptions.Model, Gen.Int[0, int.MaxValue], Gen.Char, Gen.Int[0, 2]).Sample((model, position, character, change) =>
        {
            string text = ModelDescriptionText.Write(model);
            int at = position % text.Length;
            string damaged = change switch
            {
                0 => text[..at],
                1 => text.Remove(at, 1),
                _ => text.Insert(at, character.ToString()),
            };
            try
            {
                ModelDescription read = ModelDescriptionText.Parse(damaged);
                Assert.Equal(read, ModelDescriptionText.Parse(ModelDescriptionText.Write(read)));
            }
            catch (FormatException exception)
            {
                Assert.Matches("^Damaged description at offset [0-9]+: expected .+, found .+[.]$", exception.Message.Replace('\n', ' '));
            }
        });

    [Fact]
    public void ATextThatEndsTooEarlyNamesTheEnd()
    {
        string text = ModelDescriptionText.Write(WithArgument(Argument.OfInteger("n", 3)));
        var exception = Assert.Throws<FormatException>(() => ModelDescriptionText.Parse(text[..^1]));
        Assert.Equal($"Damaged description at offset {text.Length - 1}: expected '}}', found the end.", exception.Message);
    }

    [Fact]
    public void AnotherVersionIsRefused()
    {
        string text = ModelDescriptionText.Write(WithArgument(Argument.OfInteger("n", 3))).Replace("\"version\":1", "\"version\":2");
        Assert.Contains("a description of version 1, not 2", Assert.Throws<FormatException>(() => ModelDescriptionText.Parse(text)).Message);
    }

    [Fact]
    public void DeepNestingIsRefusedNotOverflowed()
    {
        string text = ModelDescriptionText.Write(WithArgument(Argument.OfList("n", default)));
        string deep = text.Replace("\"n\":[]", "\"n\":" + string.Concat(Enumerable.Repeat("[", 100_000)));
        Assert.Contains("nested lists", Assert.Throws<FormatException>(() => ModelDescriptionText.Parse(deep)).Message);
    }

    private static ModelDescription WithArgument(Argument argument) => new(
        "M",
        "N.M",
        new ModelOptions(4, Schedule.GPipe, BaseKind.Adam, 1, 64, null, null, null),
        default,
        default,
        default,
        new[] { new Operation("f", new[] { argument }.ToEquatableArray(), -1, 0, "T") }.ToEquatableArray(),
        default,
        default);
}
