namespace Dho2.Planning;

/// <summary>How messages name operations and values.</summary>
internal static class OperationNames
{
    /// <summary>An operation: by its layer, else by the last part of its name.</summary>
    public static string Describe(ModelDescription model, int operation)
    {
        Operation op = model.Operations[operation];
        return op.Layer >= 0 && op.Layer < model.Layers.Count ? $"'{model.Layers[op.Layer].Name}'" : $"'{Short(op.Name)}'";
    }

    /// <summary>A value: an input by its name, a result by its operation.</summary>
    public static string DescribeValue(ModelDescription model, int value) =>
        value < model.Inputs.Count ? $"input '{model.Inputs[value].Name}'" : Describe(model, value - model.Inputs.Count);

    /// <summary>The last part of a canonical name, such as <c>relu</c>.</summary>
    public static string Short(string name) => name.Substring(name.LastIndexOf('.') + 1);
}
