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
}
