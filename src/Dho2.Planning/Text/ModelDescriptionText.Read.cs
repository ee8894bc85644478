using System.Globalization;

namespace Dho2.Planning;

public static partial class ModelDescriptionText
{
    private static ModelDescription ReadModel(CanonicalReader reader)
    {
        reader.Expect('{');
        long version = reader.Member("version", isFirst: true).Integer();
        if (version != Version)
        {
            throw reader.Damaged($"a description of version {Version}, not {version}");
        }

        string name = reader.Member("name").Text();
        string metadataName = reader.Member("type").Text();
        reader.Member("options");
        ModelOptions options = ReadOptions(reader);
        EquatableArray<InputDescription> inputs = reader.Member("inputs").Array(ReadInput);
        EquatableArray<InputDescription> targets = reader.Member("targets").Array(ReadInput);
        EquatableArray<LayerDescription> layers = reader.Member("layers").Array(ReadLayer);
        EquatableArray<Operation> operations = reader.Member("operations").Array(ReadOperation);
        EquatableArray<StatementDescription> statements = reader.Member("statements").Array(ReadStatement);
        EquatableArray<int> results = reader.Member("results").Array(static r => r.Integer32());
        ModuleBody? loss = ReadBody(reader.Member("loss"));
        reader.Expect('}');
        return new(name, metadataName, options, inputs, targets, layers, operations, statements, results, loss);
    }

    private static ModelOptions ReadOptions(CanonicalReader reader)
    {
        reader.Expect('{');
        int microBatches = reader.Member("microBatches", isFirst: true).Integer32();
        Schedule schedule = reader.Member("schedule").Enumeration<Schedule>();
        BaseKind baseKind = reader.Member("base").Enumeration<BaseKind>();
        int replicas = reader.Member("replicas").Integer32();
        int batch = reader.Member("batch").Integer32();
        long? deviceMemory = reader.Member("deviceMemory").OptionalInteger();
        CurvatureOptions? curvature = ReadCurvature(reader.Member("curvature"));
        AdmmOptions? admm = ReadAdmm(reader.Member("admm"));
        DType dtype = reader.Member("elements").Enumeration<DType>();
        bool shards = reader.TryMember("shardsOptimizer") && reader.Boolean();
        int stagesPerRank = 0;
        int stages = 0;
        string? device = null;
        if (reader.TryMember("stagesPerRank"))
        {
            stagesPerRank = reader.Integer32();
            stages = reader.Member("stages").Integer32();
            reader.Member("device");
            device = reader.TryNull() ? null : reader.Text();
        }

        RecomputeOptions? recompute = reader.TryMember("recompute") ? ReadRecompute(reader) : null;
        reader.Expect('}');
        return new(microBatches, schedule, baseKind, replicas, batch, deviceMemory, curvature, admm, dtype, stagesPerRank, stages, device)
        {
            ShardsOptimizer = shards,
            Recompute = recompute,
        };
    }

    private static RecomputeOptions ReadRecompute(CanonicalReader reader)
    {
        reader.Expect('{');
        var recompute = new RecomputeOptions(
            reader.Member("all", isFirst: true).Boolean(), reader.Member("stages").Array(static r => r.Integer32()))
        {
            OverridesLayers = reader.Member("overridesLayers").Boolean(),
        };
        reader.Expect('}');
        return recompute;
    }

    private static CurvatureOptions? ReadCurvature(CanonicalReader reader)
    {
        if (reader.TryNull())
        {
            return null;
        }

        reader.Expect('{');
        var curvature = new CurvatureOptions(
            Rank: reader.Member("rank", isFirst: true).Integer32(),
            Smallest: reader.Member("smallest").Integer32(),
            Every: reader.Member("every").Integer32(),
            Warmup: reader.Member("warmup").Integer32(),
            Batch: reader.Member("batch").Integer32(),
            Alpha: reader.Member("alpha").Number(),
            MaxScale: reader.Member("maxScale").Number(),
            Scope: reader.Member("scope").Enumeration<CurvatureScope>(),
            Order: reader.IsNext(',') ? reader.Member("order").Integer32() : 0);
        if (!reader.IsNext('}'))
        {
            curvature = curvature with
            {
                Mode = reader.Member("mode").Enumeration<CurvatureMode>(),
                Delay = reader.Member("delay").Integer32(),
            };
        }

        reader.Expect('}');
        return curvature;
    }

    private static AdmmOptions? ReadAdmm(CanonicalReader reader)
    {
        if (reader.TryNull())
        {
            return null;
        }

        reader.Expect('{');
        var admm = new AdmmOptions(
            Period: reader.Member("period", isFirst: true).Integer32(),
            Sigma: reader.Member("sigma").Number(),
            Relaxation: reader.Member("relaxation").Number(),
            Rule: reader.Member("rule").Enumeration<AdmmRule>())
        {
            // Written only where it is true: descriptions from before it was known stay as they are.
            LocalCurvature = reader.TryMember("localCurvature") && reader.Boolean(),
        };
        reader.Expect('}');
        return admm;
    }

    private static InputDescription ReadInput(CanonicalReader reader)
    {
        reader.Expect('[');
        string name = reader.Text();
        reader.Expect(',');
        DType dtype = reader.Enumeration<DType>();
        reader.Expect(',');
        EquatableArray<DimensionDescription>? dimensions = reader.TryNull() ? null : reader.Array(ReadDimension);
        reader.Expect(']');
        return new(name, dimensions, dtype);
    }

    private static DimensionDescription ReadDimension(CanonicalReader reader) =>
        reader.IsNext('"') ? new(0, reader.Text()) : new(reader.Integer(), null);

    private static LayerDescription ReadLayer(CanonicalReader reader)
    {
        reader.Expect('[');
        string name = reader.Text();
        reader.Expect(',');
        string kind = reader.Text();
        reader.Expect(',');
        string typeName = reader.Text();
        reader.Expect(',');
        EquatableArray<Argument> arguments = ReadArguments(reader);
        reader.Expect(',');
        bool isAutomatic = reader.IsNext('"');
        int? stage = isAutomatic ? ReadAutomaticStage(reader) : reader.OptionalInteger32();
        reader.Expect(',');
        int? rank = reader.OptionalInteger32();
        reader.Expect(',');
        long? deviceMemory = reader.OptionalInteger();
        reader.Expect(',');
        ModuleBody? body = ReadBody(reader);
        string? tiedTo = null;
        if (reader.IsNext(','))
        {
            reader.Expect(',');
            tiedTo = reader.OptionalText();
        }

        bool recomputes = false;
        if (reader.IsNext(','))
        {
            reader.Expect(',');
            recomputes = reader.Boolean();
        }

        reader.Expect(']');
        return new(name, kind, typeName, arguments, stage, rank, body, deviceMemory, isAutomatic, tiedTo) { Recomputes = recomputes };
    }

    private static int? ReadAutomaticStage(CanonicalReader reader) =>
        reader.Text() == AutomaticStage ? null : throw reader.Damaged($"a stage's number or \"{AutomaticStage}\"");

    private static Operation ReadOperation(CanonicalReader reader)
    {
        reader.Expect('[');
        string name = reader.Text();
        reader.Expect(',');
        EquatableArray<Argument> arguments = ReadArguments(reader);
        reader.Expect(',');
        int layer = reader.Integer32();
        reader.Expect(',');
        int statement = reader.Integer32();
        reader.Expect(',');
        string typeName = reader.Text();
        reader.Expect(']');
        return new(name, arguments, layer, statement, typeName);
    }

    private static StatementDescription ReadStatement(CanonicalReader reader)
    {
        reader.Expect('[');
        bool pieces = reader.Boolean();
        reader.Expect(',');
        EquatableArray<VariableValue> reads = ReadVariables(reader);
        reader.Expect(',');
        EquatableArray<VariableValue> writes = ReadVariables(reader);
        reader.Expect(']');
        return new(reads, writes, pieces);
    }

    private static ModuleBody? ReadBody(CanonicalReader reader)
    {
        if (reader.TryNull())
        {
            return null;
        }

        // Read as a list of one element, so that the depth of nested modules is bounded like that of lists.
        return reader.List('{', '}', static r =>
        {
            int inputs = r.Member("inputs", isFirst: true).Integer32();
            EquatableArray<LayerDescription> layers = r.Member("layers").Array(ReadLayer);
            EquatableArray<Operation> operations = r.Member("operations").Array(ReadOperation);
            EquatableArray<int> results = r.Member("results").Array(static value => value.Integer32());
            return new ModuleBody(inputs, layers, operations, results);
        }) is [var body] ? body : throw reader.Damaged("one body");
    }

    private static EquatableArray<VariableValue> ReadVariables(CanonicalReader reader) =>
        reader.List('{', '}', static r =>
        {
            string variable = r.Text();
            r.Expect(':');
            return new VariableValue(variable, r.Integer32());
        }).ToEquatableArray();

    private static EquatableArray<Argument> ReadArguments(CanonicalReader reader) =>
        reader.List('{', '}', static r =>
        {
            string name = r.Text();
            r.Expect(':');
            return ReadArgument(r, name);
        }).ToEquatableArray();

    private static Argument ReadArgument(CanonicalReader reader, string name)
    {
        if (reader.IsNext('['))
        {
            return Argument.OfList(name, reader.Array(static r => ReadArgument(r, "")));
        }

        if (reader.IsNext('"'))
        {
            return Argument.OfText(name, reader.Text());
        }

        if (reader.IsNext('{'))
        {
            return reader.List('{', '}', ReadMarked) switch
            {
                [] => Argument.OfUnknown(name),
                [var marked] => marked with { Name = name },
                _ => throw reader.Damaged("one argument"),
            };
        }

        string token = reader.Token();
        return token switch
        {
            "null" => Argument.OfNull(name),
            "true" => Argument.OfBoolean(name, true),
            "false" => Argument.OfBoolean(name, false),
            _ when long.TryParse(token, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long integer) =>
                Argument.OfInteger(name, integer),
            _ when CanonicalReader.ParseNumber(token) is { } number => Argument.OfNumber(name, number),
            _ => throw reader.DamagedBefore(token.Length, "an argument"),
        };
    }

    private static Argument ReadMarked(CanonicalReader reader)
    {
        string mark = reader.Text();
        reader.Expect(':');
        return mark switch
        {
            "%" => Argument.OfValue("", reader.Integer32()),
            "[]" => Argument.OfList("", ReadArguments(reader)),
            "#" or "$" => Argument.OfParameter("", reader.Text(), isInteger: mark == "#"),
            _ => throw reader.DamagedBefore(mark.Length + 2, "\"%\", \"[]\", \"#\" or \"$\""),
        };
    }
}
