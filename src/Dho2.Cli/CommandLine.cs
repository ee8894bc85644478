using System;
using System.Collections.Generic;
using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Parsing;
using System.IO;
using System.Linq;
using Dho2.Cli.Inspection;
using Dho2.Cli.Plans;
using Dho2.Cli.Reports;

namespace Dho2.Cli;

/// <summary>The tool <c>dho2</c>: its commands, and how they end.</summary>
internal static class CommandLine
{
    private const string Name = "dho2";

    /// <summary>Runs a command.</summary>
    /// <param name="arguments">The command line, without the tool's name.</param>
    /// <param name="terminal">Where results and complaints go.</param>
    /// <param name="compilerCommandLine">Says what the compiler would be called with: project, configuration. Null asks MSBuild.</param>
    /// <returns>One of <see cref="ExitCode"/>.</returns>
    public static int Run(IReadOnlyList<string> arguments, Terminal terminal, Func<string, string, IReadOnlyList<string>>? compilerCommandLine = null)
    {
        ParseResult parsed = Root(terminal, compilerCommandLine ?? DesignTimeBuild.CommandLineOf).Parse(arguments.Count > 0 ? arguments : ["--help"]);
        if (parsed.Errors.Count > 0)
        {
            return Refuse(parsed, terminal);
        }

        try
        {
            int status = parsed.Invoke(new InvocationConfiguration
            {
                Output = terminal.Output,
                Error = terminal.Errors,
                EnableDefaultExceptionHandler = false,
            });
            return arguments.Count > 0 ? status : ExitCode.Misuse;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or ArgumentException)
        {
            // What files or the system bring about; anything else is a fault of the tool, whose trace helps.
            terminal.Complain(error.Message);
            return ExitCode.Failure;
        }
    }

    private static Command Root(Terminal terminal, Func<string, string, IReadOnlyList<string>> compilerCommandLine) => new(Name, "Looks at plans, runs and checkpoints of training that is split over devices.")
    {
        new HelpOption(),
        new VersionOption(),
        PlanCommand.Create(terminal, compilerCommandLine),
        InspectCommand.Create(terminal),
        ReportCommand.Create(terminal),
    };

    private static int Refuse(ParseResult parsed, Terminal terminal)
    {
        foreach (ParseError error in parsed.Errors)
        {
            terminal.Complain(error.Message);
        }

        IEnumerable<string> path = [Name, .. parsed.CommandResult.Command.Name == Name ? Array.Empty<string>() : [parsed.CommandResult.Command.Name]];
        terminal.Errors.WriteLine($"See '{string.Join(' ', path)} --help'.");
        return ExitCode.Misuse;
    }
}
