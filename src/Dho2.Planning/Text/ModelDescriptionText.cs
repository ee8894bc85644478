using System;

namespace Dho2.Planning;

/// <summary>
/// The canonical text of a <see cref="ModelDescription"/>: generated code and compiled assemblies embed it, the runtime
/// reads it back to plan again. Equal descriptions give equal texts on every host.
/// </summary>
public static partial class ModelDescriptionText
{
    /// <summary>The version of the format that <see cref="Write"/> writes and <see cref="Parse"/> reads.</summary>
    public const int Version = 1;

    /// <summary>Writes a description.</summary>
    public static string Write(ModelDescription description)
    {
        var writer = new CanonicalWriter();
        WriteModel(writer, description);
        return writer.ToString();
    }

    /// <summary>Reads a description back.</summary>
    /// <param name="text">What <see cref="Write"/> returned; spaces and line ends between elements may differ.</param>
    /// <exception cref="FormatException">The text is damaged or of another version; the message names the offset.</exception>
    public static ModelDescription Parse(string text)
    {
        var reader = new CanonicalReader(text);
        ModelDescription description = ReadModel(reader);
        reader.End();
        return description;
    }

    /// <summary>Writes the description of a module class.</summary>
    public static string WriteModule(ModuleDescription description)
    {
        var writer = new CanonicalWriter();
        writer.Begin('{').Name("version").Integer(Version).Name("module").Text(description.MetadataName).Name("parameters").Begin('[');
        foreach (string parameter in description.Parameters)
        {
            writer.Text(parameter);
        }

        writer.End(']').Line().Name("variants").Begin('[');
        foreach (ModuleVariant variant in description.Variants)
        {
            writer.Line().Begin('[').Begin('[');
            foreach (string condition in variant.Conditions)
            {
                writer.Text(condition);
            }

            writer.End(']');
            WriteBody(writer, variant.Body);
            writer.End(']');
        }

        writer.End(']').End('}');
        return writer.ToString();
    }

    /// <summary>Reads the description of a module class back.</summary>
    /// <param name="text">What <see cref="WriteModule"/> returned.</param>
    /// <exception cref="FormatException">The text is damaged or of another version; the message names the offset.</exception>
    public static ModuleDescription ParseModule(string text)
    {
        var reader = new CanonicalReader(text);
        reader.Expect('{');
        long version = reader.Member("version", isFirst: true).Integer();
        if (version != Version)
        {
            throw reader.Damaged($"a description of version {Version}, not {version}");
        }

        string name = reader.Member("module").Text();
        EquatableArray<string> parameters = reader.Member("parameters").Array(static r => r.Text());
        EquatableArray<ModuleVariant> variants = reader.Member("variants").Array(ReadVariant);
        reader.Expect('}');
        reader.End();
        return new(name, parameters, variants);
    }

    private static ModuleVariant ReadVariant(CanonicalReader reader)
    {
        reader.Expect('[');
        EquatableArray<string> conditions = reader.Array(static r => r.Text());
        reader.Expect(',');
        ModuleBody body = ReadBody(reader) ?? throw reader.Damaged("the inside of a module");
        reader.Expect(']');
        return new(conditions, body);
    }
}
