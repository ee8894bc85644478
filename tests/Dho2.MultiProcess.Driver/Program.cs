using System;
using System.Globalization;
using Dho2.MultiProcess.Driver;

return args switch
{
    ["contract", string folder, ..] => ContractRun.Run(folder),
    ["train", .. string[] options] => TrainingRun.Run(options),
    ["checkpoint", string folder, string stages, string replicas, string kind, string losses, .. string[] kill] => CheckpointRun.Run(
        folder, Number(stages), Number(replicas), kind, losses, kill is [string rank, _] ? Number(rank) : -1, kill is [_, string step] ? Number(step) : 0),
    _ => Usage(),
};

static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);

static int Usage()
{
    Console.Error.WriteLine("usage: Dho2.MultiProcess.Driver contract FOLDER | train [options] | checkpoint FOLDER STAGES REPLICAS KIND LOSSES [RANK STEP]");
    return 2;
}
