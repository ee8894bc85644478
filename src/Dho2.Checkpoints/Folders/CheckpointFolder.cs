using System.IO;
using System.Linq;

namespace Dho2.Checkpoints;

/// <summary>A complete checkpoint on disk.</summary>
public sealed class CheckpointFolder
{
    private CheckpointFolder(string path, CheckpointManifest manifest)
    {
        Path = path;
        Manifest = manifest;
    }

    /// <summary>The folder.</summary>
    public string Path { get; }

    /// <summary>What it says about itself.</summary>
    public CheckpointManifest Manifest { get; }

    /// <summary>Reads a checkpoint's manifest and checks that its files are there, with the lengths that it gives.</summary>
    /// <param name="path">The folder.</param>
    /// <exception cref="CheckpointException">The manifest is missing, changed or of another version, or a file is not as it says.</exception>
    public static CheckpointFolder Open(string path)
    {
        string full = System.IO.Path.GetFullPath(path);
        var folder = new CheckpointFolder(full, ManifestText.Read(System.IO.Path.Combine(full, CheckpointManifest.FileName)));
        foreach (StoredFile file in folder.Manifest.Files)
        {
            var found = new FileInfo(folder.PathOf(file));
            if (!found.Exists || found.LinkTarget is not null)
            {
                throw new CheckpointException(found.FullName, found.Exists ? "it is a link; files of a checkpoint lie in its folder." : "it is missing.");
            }

            if (found.Length != file.Bytes)
            {
                throw new CheckpointException(found.FullName, $"it has {found.Length} bytes; its manifest says {file.Bytes}.");
            }
        }

        return folder;
    }

    /// <summary>Where a file lies.</summary>
    public string PathOf(StoredFile file) => System.IO.Path.Combine(Path, file.Name);

    /// <summary>Reads a whole file and compares its checksum.</summary>
    /// <param name="file">The file, one of the manifest's.</param>
    /// <exception cref="CheckpointException">It was changed, or cannot be read.</exception>
    public void Verify(StoredFile file)
    {
        string path = PathOf(file);
        string digest = FileDigest.OfFile(path);
        if (digest != file.Xxh128)
        {
            throw new CheckpointException(path, $"its checksum is {digest}; its manifest says {file.Xxh128}: it was changed after it was written.");
        }
    }

    /// <summary>Verifies all files.</summary>
    /// <exception cref="CheckpointException">One was changed, or cannot be read.</exception>
    public void VerifyAll()
    {
        foreach (StoredFile file in Manifest.Files.OrderBy(f => f.Name, System.StringComparer.Ordinal))
        {
            Verify(file);
        }
    }
}
