using System.Collections.Generic;
using System.Linq;
using Dho2.Modeling;
using Dho2.Planning;
using Microsoft.CodeAnalysis.CSharp;

namespace Dho2.Generators;

/// <summary>Prints the constructor of a class whose user wrote none: every component is registered by name, without reflection.</summary>
internal static class ConstructorPrinter
{
    public static string Print(PlannedClass input) => TypeShell.Print(input.Class, writer =>
    {
        PipelineClass type = input.Class;
        writer.Line($"/// <summary>Creates the unsplit model.</summary>");
        writer.Line(TypeShell.GeneratedCode);
        writer.Line($"public {Names.Escape(type.Name)}()");
        using (writer.Indented())
        {
            writer.Line($": base({SymbolDisplay.FormatLiteral(type.Name, quote: true)})");
        }

        using (writer.Braces())
        {
            // A parameter is registered as what it is; a module's is found through its module.
            foreach (string tie in Ties(input, "", areBare: true))
            {
                writer.Line(tie);
            }

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

            foreach (string tie in Ties(input, "", areBare: false))
            {
                writer.Line(tie);
            }
        }
    });

    /// <summary>Makes the tied parameters of the unsplit model one: bare ones, or those of modules.</summary>
    public static IEnumerable<string> Ties(PlannedClass input, string prefix, bool areBare) =>
        from tie in input.Plan?.Ties ?? default
        from use in tie.Uses
        where use.Layer >= 0 && (use.Name == input.Description.Layers[use.Layer].Name) == areBare
        select $"{prefix}{Member(input, use.Layer, use.Name)} = {prefix}{Member(input, tie.Layer, tie.Name)}{(tie.Name == input.Description.Layers[tie.Layer].Name ? "" : "!")};";

    private static string Member(PlannedClass input, int layer, string name)
    {
        string prefix = input.Description.Layers[layer].Name;
        string member = input.Class.Registrations.FirstOrDefault(component => component.Name == prefix)?.Member ?? prefix;
        return Names.Escape(member) + name.Substring(prefix.Length);
    }
}
