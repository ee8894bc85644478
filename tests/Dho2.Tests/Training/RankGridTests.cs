using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Communication;
using Dho2.Planning;
using Dho2.Tests.Communication;
using Xunit;

namespace Dho2.Tests.Training;

public sealed class RankGridTests
{
    [Theory]
    [InlineData(1, 1, 1, false)]
    [InlineData(3, 2, 1, false)]
    [InlineData(2, 3, 1, true)]
    [InlineData(4, 2, 2, true)]
    public void Groups_hold_the_ranks_that_belong_together_in_order(int stages, int replicas, int chunks, bool dedicated)
    {
        var layout = new RankLayout(stages, replicas, chunks, dedicated);
        Ranks.Run(layout.Size, world =>
        {
            int rank = world.Rank;
            var grid = new RankGrid(layout, world);
            RankPlace place = layout.PlaceOf(rank);
            int[] all = [.. Enumerable.Range(0, layout.Size)];

            int[] Where(Func<RankPlace, bool> belongs) => [.. all.Where(r => belongs(layout.PlaceOf(r)))];

            Assert.Equal(place, grid.Place);
            Assert.Equal(Where(p => p.Role == place.Role && p.Replica == place.Replica), Members(grid.Pipeline));
            Assert.Equal(Where(p => p.Role == place.Role && p.Position == place.Position), Members(grid.Replicas));
            Assert.Equal(Where(p => p.Role == place.Role), Members(grid.Peers));
            Assert.Equal(dedicated, grid.Link is not null);
            if (grid.Link is not null)
            {
                Assert.Equal(Where(p => p.Position == place.Position), Members(grid.Link));
                Assert.Equal(layout.Replicas + 1, grid.Link.Size);
            }

            Assert.True(grid.BytesSent > 0 || layout.Size == 1);
            grid.Dispose();

            // World ranks, by rank in the group.
            int[] Members(ICommunicator group)
            {
                double[] ranks = new double[group.Size];
                ranks[group.Rank] = rank;
                group.AllReduce(ranks);
                return [.. ranks.Select(r => (int)r)];
            }
        });
    }

    [Fact]
    public void A_world_of_another_size_is_refused_with_both_numbers()
    {
        using var world = World.Join();
        IReadOnlyList<ICommunicator> ranks = world.Open(3);
        string message = Assert.Throws<ArgumentException>(() => new RankGrid(new RankLayout(2, 2), ranks[0])).Message;
        Assert.Contains("needs 4 ranks (2 stages x 2 replicas), the world has 3", message, StringComparison.Ordinal);
        foreach (ICommunicator rank in ranks)
        {
            rank.Dispose();
        }
    }
}
