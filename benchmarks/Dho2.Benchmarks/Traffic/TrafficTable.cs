using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Pipelines;
using Dho2.Planning;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Benchmarks.Traffic;

/// <summary>
/// What every rank sends in a step, counted by its communicators and predicted by the plan, and the bytes that it owns, over
/// stages and replicas.
/// </summary>
internal static class TrafficTable
{
    private static readonly (int Stages, Func<World, TrainingOptions, Trainer> Create)[] Models =
    [
        (1, TrafficNet1.CreateTrainer), (2, TrafficNet2.CreateTrainer), (4, TrafficNet4.CreateTrainer),
    ];

    private static readonly (string Name, PlanOverrides Overrides)[] Ties =
    [
        ("reduced", new PlanOverrides()),
        ("reduced, shared out", new PlanOverrides { ShardOptimizer = true }),
        ("consensus, period 2", new PlanOverrides { Admm = new AdmmOptions(2, 0.03, 1, AdmmRule.Consensus) }),
    ];

    /// <summary>Prints both tables.</summary>
    public static int Run()
    {
        var memory = new List<string>();
        Console.WriteLine("| S | R | replicas tied by | bytes sent in a step (round), worst rank | in one with an estimate | products | predicted, all ranks and steps |");
        Console.WriteLine("|---|---|---|---|---|---|---|");
        foreach ((int stages, Func<World, TrainingOptions, Trainer> create) in Models)
        {
            foreach (int replicas in new[] { 1, 2, 4 })
            {
                foreach ((string name, PlanOverrides overrides) in Ties.Take(replicas == 1 ? 1 : Ties.Length))
                {
                    Row(stages, replicas, name, create, overrides with { Replicas = replicas, Base = BaseKind.Adam }, memory);
                }
            }
        }

        Console.WriteLine();
        Console.WriteLine("| S | R | replicas tied by | largest rank's plan: parameters | gradients | optimizer | curvature | estimate | ADMM | optimizer and curvature owned, largest rank |");
        Console.WriteLine("|---|---|---|---|---|---|---|---|---|---|");
        memory.ForEach(Console.WriteLine);
        return 0;
    }

    private static void Row(
        int stages, int replicas, string name, Func<World, TrainingOptions, Trainer> create, PlanOverrides overrides, List<string> memory)
    {
        using DisposeScope scope = NewDisposeScope();
        using var world = World.Join();
        int products = 0;
        using Trainer trainer = create(world, new TrainingOptions { LearningRate = 0.001, ThreadsPerRank = 1, Overrides = overrides });
        trainer.CurvatureRefreshed += refreshed => products = refreshed.Estimate.Products;
        int samples = 32 * replicas;
        var batch = new Batch([rand(samples, 1, 28, 28)], [randint(0, 10, [samples], ScalarType.Int64)]);
        var steps = new List<IReadOnlyList<RankTraffic>>();
        for (int i = 0; i < 6; i++)
        {
            trainer.TrainStep(batch);
            steps.Add(trainer.Traffic);
        }

        // Estimates come before steps 2, 4 and 6; under consensus, before the period boundaries 3 and 5. The first step has none.
        long plain = steps[overrides.Admm is null ? 4 : 3].Max(t => t.Sent);
        long estimate = steps[overrides.Admm is null ? 5 : 4].Max(t => t.Sent);
        bool exact = steps.All(step => step.All(t => t.Predicted == t.Sent));
        Console.WriteLine(FormattableString.Invariant($"| {stages} | {replicas} | {name} | {plain:#,0} | {estimate:#,0} | {products} | {(exact ? "exact" : "WRONG")} |"));
        StagePlan largest = trainer.Plan.Stages.MaxBy(s => s.Memory.Sum(m => m.Bytes ?? 0))!;
        string Bytes(params MemoryKind[] kinds) => largest.Memory.Where(m => kinds.Contains(m.Kind)).Sum(m => m.Bytes ?? 0).ToString("#,0", System.Globalization.CultureInfo.InvariantCulture);
        memory.Add(FormattableString.Invariant(
            $"| {stages} | {replicas} | {name} | {Bytes(MemoryKind.Parameters)} | {Bytes(MemoryKind.Gradients)} | {Bytes(MemoryKind.Optimizer)} | {Bytes(MemoryKind.Curvature)} | {Bytes(MemoryKind.Basis, MemoryKind.Graphs, MemoryKind.Copy)} | {Bytes(MemoryKind.Admm)} | {trainer.StateBytes.Max():#,0} |"));
    }
}
