using System.IO;
using Dho2.Communication;

namespace Dho2.Tests.Communication;

public sealed class ProgressFolderTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void ARankMakesItsFileEvenIfSomebodyHasClearedTheFolderAway(int rank)
    {
        DirectoryInfo temporary = Directory.CreateTempSubdirectory();
        try
        {
            string path = Path.Combine(temporary.FullName, "run");
            ProgressFolder folder = ProgressFolder.Open(path, "job");
            Directory.Delete(path);
            using ProgressFile file = folder.CreateFile(rank, 2);
            Assert.Equal(rank, Assert.Single(folder.Ranks()).Rank);
        }
        finally
        {
            temporary.Delete(recursive: true);
        }
    }
}
