using System;
using System.Collections.Generic;
using System.ComponentModel;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Reflection;
using System.Text.RegularExpressions;
using System.Threading.Tasks;
using System.Xml.Linq;
using Microsoft.CodeAnalysis;

namespace Dho2.Analyzers.Tests;

/// <summary>
/// The table of all attributes as the assembly has them: defaults by asking an instance, ranges by what the analyzer says
/// about a value outside, meanings from the documentation comments.
/// </summary>
internal static partial class AttributeTable
{
    private const string Outside = "-7";

    private static readonly Assembly Assembly = typeof(PipelineAttribute).Assembly;

    private static readonly Dictionary<string, XElement> Comments = XDocument.Load(Path.ChangeExtension(Assembly.Location, ".xml"))
        .Descendants("member").ToDictionary(member => member.Attribute("name")!.Value, StringComparer.Ordinal);

    /// <summary>The attributes, as they stand in the source.</summary>
    public static IReadOnlyList<Type> Attributes { get; } =
    [
        .. Assembly.GetExportedTypes().Where(type => type.IsSubclassOf(typeof(Attribute)) && type.Namespace == "Dho2" && !type.IsDefined(typeof(EditorBrowsableAttribute))).OrderBy(PlaceOf),
    ];

    public static async Task<string> WriteAsync()
    {
        List<string> lines = ["| attribute | argument | type | default | range | meaning |", "|---|---|---|---|---|---|"];
        foreach (Type attribute in Attributes)
        {
            lines.Add($"| `[{NameOf(attribute)}]` | | | | on {TargetsOf(attribute)} | {Meaning($"T:{attribute.FullName}")} |");
            foreach (ParameterInfo parameter in ParametersOf(attribute))
            {
                string range = parameter.ParameterType.IsArray ? "" : await RangeAsync(attribute, parameter.ParameterType, $"{Outside}");
                lines.Add($"| | *{parameter.Name}* | {TypeOf(parameter.ParameterType)} | {DefaultOf(attribute, parameter)} | {range} | {Meaning(parameter)} |");
            }

            foreach (PropertyInfo property in attribute.GetProperties().Where(p => p.CanWrite && p.DeclaringType == attribute))
            {
                string range = await RangeAsync(attribute, property.PropertyType, $"{property.Name} = {Outside}");
                lines.Add($"| | `{property.Name}` | {TypeOf(property.PropertyType)} | {DefaultOf(attribute, property)} | {range} | {Meaning($"P:{attribute.FullName}.{property.Name}")} |");
            }
        }

        return string.Join("\n", lines) + "\n";
    }

    private static string NameOf(Type attribute) => attribute.Name[..^nameof(Attribute).Length];

    // Metadata tokens follow the source.
    private static int PlaceOf(Type type) => type.MetadataToken;

    private static string TargetsOf(Type attribute)
    {
        AttributeUsageAttribute usage = attribute.GetCustomAttribute<AttributeUsageAttribute>()!;
        string[] targets = [.. Enum.GetValues<AttributeTargets>().Where(t => t != AttributeTargets.All && usage.ValidOn.HasFlag(t)).Select(t => t.ToString().ToLowerInvariant())];
        return string.Join(", ", targets) + (usage.AllowMultiple ? "; may be repeated" : "");
    }

    private static IEnumerable<ParameterInfo> ParametersOf(Type attribute) =>
        attribute.GetConstructors().OrderByDescending(c => c.GetParameters().Length).First().GetParameters();

    private static string TypeOf(Type type) =>
        type == typeof(int) ? "int" : type == typeof(double) ? "double" : type == typeof(string) ? "string"
        : type == typeof(bool) ? "bool" : type == typeof(object[]) ? "int or string, any number" : $"`{type.Name}`";

    private static string DefaultOf(Type attribute, ParameterInfo parameter) =>
        parameter.ParameterType.IsArray ? "none" : attribute.GetConstructor([]) is null ? "must be given" : "the planner chooses";

    private static string DefaultOf(Type attribute, PropertyInfo property)
    {
        ConstructorInfo constructor = attribute.GetConstructors().OrderBy(c => c.GetParameters().Length).First();
        object?[] arguments = [.. constructor.GetParameters().Select(p => p.ParameterType.IsArray ? Array.Empty<object>() : p.ParameterType.IsValueType ? Activator.CreateInstance(p.ParameterType) : "")];
        object? value = property.GetValue(constructor.Invoke(arguments));
        return value is null ? "none" : value is bool on ? $"`{(on ? "true" : "false")}`" : $"`{Convert.ToString(value, CultureInfo.InvariantCulture)}`";
    }

    private static async Task<string> RangeAsync(Type attribute, Type type, string argument)
    {
        if (type.IsEnum)
        {
            return string.Join(", ", Enum.GetNames(type).Select(name => $"`{name}`"));
        }

        if (type != typeof(int) && type != typeof(double) && !argument.StartsWith("Memory", StringComparison.Ordinal))
        {
            return "";
        }

        string stated = $"{NameOf(attribute)}({(type == typeof(string) ? argument.Replace(Outside, "\"?\"", StringComparison.Ordinal) : argument)})";
        bool onLayer = !attribute.GetCustomAttribute<AttributeUsageAttribute>()!.ValidOn.HasFlag(AttributeTargets.Class)
            || attribute.GetCustomAttribute<AttributeUsageAttribute>()!.ValidOn.HasFlag(AttributeTargets.Field);
        string source = Source.Net(
            attributes: Place(onLayer ? "" : stated),
            layers: onLayer ? Source.Layers.Replace("[Stage(0)]", attribute == typeof(StageAttribute) ? $"[{stated}]" : $"[Stage(0), {stated}]", StringComparison.Ordinal) : Source.Layers);
        IEnumerable<Diagnostic> diagnostics = await Analysis.DiagnosticsAsync(Analysis.Compile(source));
        return diagnostics.Select(d => Range().Match(d.GetMessage(CultureInfo.InvariantCulture))).FirstOrDefault(m => m.Success)?.Groups[1].Value ?? "";
    }

    private static string Place(string stated)
    {
        string pipeline = stated.StartsWith("Pipeline", StringComparison.Ordinal) ? $"[{stated}]" : "[Pipeline(MicroBatches = 8)]";
        string input = stated.StartsWith("Input", StringComparison.Ordinal) ? $"[{stated.Replace("(", "(8, ", StringComparison.Ordinal)}]" : "[Input(8)]";
        string target = stated.StartsWith("Target", StringComparison.Ordinal) ? $"[{stated}]" : "[Target]";
        string other = pipeline.Contains(stated, StringComparison.Ordinal) || input.Contains("Input(8, ", StringComparison.Ordinal) || target.Contains(stated, StringComparison.Ordinal) ? "" : $"[{stated}]";
        return $"{pipeline} {input} {target} {other}";
    }

    private static string Meaning(string member) => Text(Comments[member].Element("summary")!);

    private static string Meaning(ParameterInfo parameter)
    {
        string types = string.Join(",", ((ConstructorInfo)parameter.Member).GetParameters().Select(p => p.ParameterType.FullName));
        return Text(Comments[$"M:{parameter.Member.DeclaringType!.FullName}.#ctor({types})"].Elements("param").Single(p => p.Attribute("name")!.Value == parameter.Name));
    }

    /// <summary>A comment's text on one line, with code where it has code or a reference.</summary>
    private static string Text(XElement comment)
    {
        IEnumerable<string> parts = comment.Nodes().Select(node => node switch
        {
            XText text => text.Value.Replace("<", "\\<", StringComparison.Ordinal),
            XElement { Name.LocalName: "see" } see => $"`{see.Attribute("cref")!.Value.Split('.')[^1]}`",
            XElement element => $"`{element.Value}`",
            _ => "",
        });
        return Spaces().Replace(string.Concat(parts), " ").Trim().Replace("|", "\\|", StringComparison.Ordinal);
    }

    [GeneratedRegex(@"; it must be (.+)$")]
    private static partial Regex Range();

    [GeneratedRegex(@"\s+")]
    private static partial Regex Spaces();
}
