using System;
using System.Linq;
using Xunit;

namespace Dho2.Planning.Tests.Ranks;

public sealed class RankLayoutTests
{
    [Theory]
    [InlineData(1, 1, 1, false)]
    [InlineData(3, 1, 1, false)]
    [InlineData(2, 4, 1, false)]
    [InlineData(3, 2, 1, true)]
    [InlineData(6, 2, 3, true)]
    public void Every_rank_has_a_place_of_its_own_and_every_stage_a_rank_in_every_replica(int stages, int replicas, int chunks, bool dedicated)
    {
        var layout = new RankLayout(stages, replicas, chunks, dedicated);
        RankPlace[] places = [.. Enumerable.Range(0, layout.Size).Select(layout.PlaceOf)];

        Assert.Equal(stages / chunks * (replicas + (dedicated ? 1 : 0)), layout.Size);
        Assert.Equal(layout.Size, places.Distinct().Count());
        Assert.Equal(Enumerable.Range(0, layout.Size), places.Select(layout.RankOf));
        Assert.Equal(Enumerable.Range(0, stages), Enumerable.Range(0, layout.Positions).SelectMany(layout.StagesAt).Order());
        Assert.All(Enumerable.Range(0, stages), stage => Assert.Contains(stage, layout.StagesAt(layout.PositionOf(stage))));
        Assert.All(places.Take(layout.Workers), place => Assert.Equal(RankRole.Worker, place.Role));
        Assert.All(places.Skip(layout.Workers), place => Assert.Equal(RankRole.Curvature, place.Role));
    }

    [Fact]
    public void A_world_of_another_size_is_told_what_would_be_right()
    {
        Assert.Null(new RankLayout(2, 3).Mismatch(6));
        Assert.Equal(
            "The plan needs 6 ranks (2 stages x 3 replicas), the world has 4: start 6 ranks, or change the number of replicas.",
            new RankLayout(2, 3).Mismatch(4));
        Assert.Contains("4 stages, 2 on each rank, x 1 replica and 2 curvature ranks", new RankLayout(4, 1, 2, true).Mismatch(3));
    }

    [Fact]
    public void Numbers_out_of_range_are_refused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => new RankLayout(0, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => new RankLayout(1, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => new RankLayout(4, 1, 3));
        Assert.Throws<ArgumentOutOfRangeException>(() => new RankLayout(2, 2).PlaceOf(4));
        Assert.Throws<ArgumentOutOfRangeException>(() => new RankLayout(2, 2).RankOf(new(RankRole.Worker, 0, 2)));
        Assert.Throws<ArgumentOutOfRangeException>(() => new RankLayout(2, 2).RankOf(new(RankRole.Curvature, 0, 0)));
    }
}
