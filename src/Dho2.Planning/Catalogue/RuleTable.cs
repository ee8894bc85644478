using System;
using System.Collections.Generic;
using Dho2.Planning.Inference;

namespace Dho2.Planning.Catalogue;

/// <summary>Collects the rules of operations under all their spellings.</summary>
internal sealed class RuleTable
{
    private readonly Dictionary<string, Func<CallContext, Symbolic>> rules = new(StringComparer.Ordinal);

    public IReadOnlyDictionary<string, Func<CallContext, Symbolic>> Rules => rules;

    /// <summary>Adds a rule under exactly this name.</summary>
    public void AddExact(string name, Func<CallContext, Symbolic> rule) => rules[name] = rule;

    /// <summary>Adds a rule for <c>torch.name</c>, <c>torch.nn.functional.name</c> and the tensor's own method or property.</summary>
    public void Add(string name, Func<CallContext, Symbolic> rule)
    {
        rules["TorchSharp.torch." + name] = rule;
        rules["TorchSharp.torch.nn.functional." + name] = rule;
        rules["TorchSharp.torch.special." + name] = rule;
        rules["Tensor." + name] = rule;
    }

    /// <summary>Adds a rule and the same operation in place: with an underscore behind its name, or asked for by <c>inplace</c>.</summary>
    public void AddWithInPlace(string name, Func<CallContext, Symbolic> rule)
    {
        Add(name, c => c.Arguments.Boolean("inplace", false) == false ? rule(c) : InPlace(c, rule(c)));
        Add(name + "_", c => InPlace(c, rule(c)));
    }

    private static Symbolic InPlace(CallContext c, Symbolic result)
    {
        SymbolicTensor target = c.Input;
        if (result is not SymbolicTensor tensor)
        {
            return result;
        }

        if (target.Shape is { } shape && tensor.Shape is { } produced && shape != produced)
        {
            return c.RefuseShape($"`{c.Name}` writes into a tensor of {target}, but its result is {tensor}");
        }

        return c.WrittenInto(target, tensor with { Shape = target.Shape, Type = target.Type == tensor.Type ? target.Type : null });
    }
}
