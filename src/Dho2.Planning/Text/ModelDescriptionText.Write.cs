namespace Dho2.Planning;

public static partial class ModelDescriptionText
{
    /// <summary>What stands in place of a stage that the planner chooses.</summary>
    private const string AutomaticStage = "auto";

    internal static void WriteModel(CanonicalWriter writer, ModelDescription model)
    {
        writer.Begin('{').Name("version").Integer(Version);
        writer.Name("name").Text(model.Name).Name("type").Text(model.MetadataName).Line();
        writer.Name("options");
        WriteOptions(writer, model.Options);
        writer.Line().Name("inputs").Begin('[');
        foreach (InputDescription input in model.Inputs)
        {
            WriteInput(writer, input);
        }

        writer.End(']').Line().Name("targets").Begin('[');
        foreach (InputDescription target in model.Targets)
        {
            WriteInput(writer, target);
        }

        writer.End(']').Line();
        WriteLayers(writer, model.Layers);
        writer.Line();
        WriteOperations(writer, model.Operations);
        writer.Line().Name("statements").Begin('[');
        foreach (StatementDescription statement in model.Statements)
        {
            writer.Line().Begin('[').Boolean(statement.Pieces);
            WriteVariables(writer, statement.Reads);
            WriteVariables(writer, statement.Writes);
            writer.End(']');
        }

        writer.End(']').Line();
        WriteValues(writer, "results", model.Results);
        writer.Line().Name("loss");
        WriteBody(writer, model.Loss);
        writer.End('}');
    }

    internal static void WriteOptions(CanonicalWriter writer, ModelOptions options)
    {
        writer.Begin('{').Name("microBatches").Integer(options.MicroBatches);
        writer.Name("schedule").Text(options.Schedule.ToString()).Name("base").Text(options.Base.ToString());
        writer.Name("replicas").Integer(options.Replicas).Name("batch").Integer(options.Batch);
        writer.Name("deviceMemory").Integer(options.DeviceMemory).Name("curvature");
        if (options.Curvature is { } curvature)
        {
            writer.Begin('{').Name("rank").Integer(curvature.Rank).Name("smallest").Integer(curvature.Smallest);
            writer.Name("every").Integer(curvature.Every).Name("warmup").Integer(curvature.Warmup);
            writer.Name("batch").Integer(curvature.Batch).Name("alpha").Number(curvature.Alpha);
            writer.Name("maxScale").Number(curvature.MaxScale).Name("scope").Text(curvature.Scope.ToString());
            bool isBeside = curvature.Mode != CurvatureMode.Blocking || curvature.Delay != 0;
            if (curvature.Order != 0 || isBeside)
            {
                writer.Name("order").Integer(curvature.Order);
            }

            if (isBeside)
            {
                writer.Name("mode").Text(curvature.Mode.ToString()).Name("delay").Integer(curvature.Delay);
            }

            writer.End('}');
        }
        else
        {
            writer.Null();
        }

        writer.Name("admm");
        if (options.Admm is { } admm)
        {
            writer.Begin('{').Name("period").Integer(admm.Period).Name("sigma").Number(admm.Sigma);
            writer.Name("relaxation").Number(admm.Relaxation).Name("rule").Text(admm.Rule.ToString());
            if (admm.LocalCurvature)
            {
                writer.Name("localCurvature").Boolean(true);
            }

            writer.End('}');
        }
        else
        {
            writer.Null();
        }

        writer.Name("elements").Text(options.DType.ToString());
        if (options.ShardsOptimizer)
        {
            writer.Name("shardsOptimizer").Boolean(true);
        }

        if (options.StagesPerRank != 0 || options.Stages != 0 || options.DeviceName is not null)
        {
            writer.Name("stagesPerRank").Integer(options.StagesPerRank).Name("stages").Integer(options.Stages).Name("device");
            _ = options.DeviceName is { } device ? writer.Text(device) : writer.Null();
        }

        if (options.Recompute is { } recompute)
        {
            writer.Name("recompute").Begin('{').Name("all").Boolean(recompute.All);
            WriteValues(writer, "stages", recompute.Stages);
            writer.Name("overridesLayers").Boolean(recompute.OverridesLayers).End('}');
        }

        writer.End('}');
    }

    private static void WriteInput(CanonicalWriter writer, InputDescription input)
    {
        writer.Line().Begin('[').Text(input.Name).Text(input.DType.ToString());
        if (input.Dimensions is { } dimensions)
        {
            writer.Begin('[');
            foreach (DimensionDescription dimension in dimensions)
            {
                _ = dimension.Symbol is { } symbol ? writer.Text(symbol) : writer.Integer(dimension.Size);
            }

            writer.End(']');
        }
        else
        {
            writer.Null();
        }

        writer.End(']');
    }

    private static void WriteLayers(CanonicalWriter writer, EquatableArray<LayerDescription> layers)
    {
        writer.Name("layers").Begin('[');
        foreach (LayerDescription layer in layers)
        {
            writer.Line().Begin('[').Text(layer.Name).Text(layer.Kind).Text(layer.TypeName);
            WriteArguments(writer, layer.Arguments);
            _ = layer.StageIsAutomatic ? writer.Text(AutomaticStage) : writer.Integer(layer.Stage);
            writer.Integer(layer.CurvatureRank).Integer(layer.DeviceMemory);
            WriteBody(writer, layer.Body);
            if (layer.TiedTo is { } owner)
            {
                writer.Text(owner);
            }
            else if (layer.Recomputes)
            {
                writer.Null();
            }

            if (layer.Recomputes)
            {
                writer.Boolean(true);
            }

            writer.End(']');
        }

        writer.End(']');
    }

    private static void WriteOperations(CanonicalWriter writer, EquatableArray<Operation> operations)
    {
        writer.Name("operations").Begin('[');
        foreach (Operation operation in operations)
        {
            writer.Line().Begin('[').Text(operation.Name);
            WriteArguments(writer, operation.Arguments);
            writer.Integer(operation.Layer).Integer(operation.Statement).Text(operation.TypeName).End(']');
        }

        writer.End(']');
    }

    private static void WriteBody(CanonicalWriter writer, ModuleBody? body)
    {
        if (body is null)
        {
            writer.Null();
            return;
        }

        writer.Begin('{').Name("inputs").Integer(body.InputCount).Line();
        WriteLayers(writer, body.Layers);
        writer.Line();
        WriteOperations(writer, body.Operations);
        writer.Line();
        WriteValues(writer, "results", body.Results);
        writer.End('}');
    }

    private static void WriteValues(CanonicalWriter writer, string name, EquatableArray<int> values)
    {
        writer.Name(name).Begin('[');
        foreach (int value in values)
        {
            writer.Integer(value);
        }

        writer.End(']');
    }

    private static void WriteVariables(CanonicalWriter writer, EquatableArray<VariableValue> variables)
    {
        writer.Begin('{');
        foreach (VariableValue variable in variables)
        {
            writer.Name(variable.Variable).Integer(variable.Value);
        }

        writer.End('}');
    }

    private static void WriteArguments(CanonicalWriter writer, EquatableArray<Argument> arguments)
    {
        writer.Begin('{');
        foreach (Argument argument in arguments)
        {
            writer.Name(argument.Name);
            WriteArgument(writer, argument);
        }

        writer.End('}');
    }

    // A value is {"%":number}, a list of nameless items [...], one of named items {"[]":{...}}, an expression over
    // parameters {"#":"..."} where it is an integer and {"$":"..."} otherwise, an unknown {}.
    private static void WriteArgument(CanonicalWriter writer, Argument argument)
    {
        switch (argument.Kind)
        {
            case ArgumentKind.Value:
                writer.Begin('{').Name("%").Integer(argument.Value).End('}');
                break;
            case ArgumentKind.Integer:
                writer.Integer(argument.Integer);
                break;
            case ArgumentKind.Number:
                writer.Number(argument.Number);
                break;
            case ArgumentKind.Boolean:
                writer.Boolean(argument.Integer != 0);
                break;
            case ArgumentKind.Text:
                writer.Text(argument.Text ?? "");
                break;
            case ArgumentKind.Null:
                writer.Null();
                break;
            case ArgumentKind.List when HasNames(argument.Items):
                writer.Begin('{').Name("[]");
                WriteArguments(writer, argument.Items);
                writer.End('}');
                break;
            case ArgumentKind.List:
                writer.Begin('[');
                foreach (Argument item in argument.Items)
                {
                    WriteArgument(writer, item);
                }

                writer.End(']');
                break;
            case ArgumentKind.Parameter:
                writer.Begin('{').Name(argument.Integer != 0 ? "#" : "$").Text(argument.Text ?? "").End('}');
                break;
            default:
                writer.Begin('{').End('}');
                break;
        }
    }

    private static bool HasNames(EquatableArray<Argument> items)
    {
        foreach (Argument item in items)
        {
            if (item.Name.Length > 0)
            {
                return true;
            }
        }

        return false;
    }
}
