using Dho2.Modeling;
using Microsoft.CodeAnalysis.CSharp;

namespace Dho2.Generators;

/// <summary>Prints the constructor of a class whose user wrote none: every component is registered by name, without reflection.</summary>
internal static class ConstructorPrinter
{
    public static string Print(PipelineClass type) => TypeShell.Print(type, writer =>
    {
        writer.Line($"/// <summary>Creates the unsplit model.</summary>");
        writer.Line(TypeShell.GeneratedCode);
        writer.Line($"public {Names.Escape(type.Name)}()");
        using (writer.Indented())
        {
            writer.Line($": base({SymbolDisplay.FormatLiteral(type.Name, quote: true)})");
        }

        using (writer.Braces())
        {
            foreach (Registration component in type.Registrations)
            {
                string method = component.Kind switch
                {
                    RegistrationKind.Parameter => "register_parameter",
                    RegistrationKind.Buffer => "register_buffer",
                    _ => "register_module",
                };
                string member = component.Kind == RegistrationKind.List
                    ? $"new global::TorchSharp.Modules.ModuleList<{component.ElementType}>([.. {Names.Escape(component.Member)}])"
                    : Names.Escape(component.Member);
                writer.Line($"{method}({SymbolDisplay.FormatLiteral(component.Name, quote: true)}, {member});");
            }
        }
    });
}
