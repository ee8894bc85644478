using Dho2.Cli;

return CommandLine.Run(args, Terminal.OfProcess());
