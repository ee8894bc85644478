using System;
using Dho2.MultiProcess.Driver;

return args switch
{
    ["contract", string folder, ..] => ContractRun.Run(folder),
    ["train", .. string[] options] => TrainingRun.Run(options),
    _ => Usage(),
};

static int Usage()
{
    Console.Error.WriteLine("usage: Dho2.MultiProcess.Driver contract FOLDER | train [options]");
    return 2;
}
