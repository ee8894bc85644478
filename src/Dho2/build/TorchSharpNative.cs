#nullable enable

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;

namespace Dho2.Build;

/// <summary>
/// Makes TorchSharp's native library loadable where the machine's C++ library is older than the one it was linked
/// against. Compiled by MSBuild from TorchSharpNative.targets, against netstandard2.0, and by the tests.
/// </summary>
/// <remarks>
/// <para>The library asks for one symbol of GCC 13's libstdc++, <c>std::ios_base_library_init()</c>, whose older
/// counterpart <c>std::ios_base::Init::Init()</c> initialises the same streams and, like it, reads no argument. Three
/// places of the file change and nothing moves: the symbol's name in <c>.dynstr</c> becomes the older function's (which
/// is shorter), its entry in <c>.gnu.version</c> the version of that function, and the requirement in
/// <c>.gnu.version_r</c>, that no symbol uses any more, becomes weak, so that the loader does not insist on it.</para>
/// <para>Anything that does not look exactly so is refused.</para>
/// </remarks>
public static class TorchSharpNative
{
    public const string Library = "libstdc++.so.6";
    public const string NewVersion = "GLIBCXX_3.4.32";
    public const string NewSymbol = "_ZSt21ios_base_library_initv";
    public const string OldVersion = "GLIBCXX_3.4";
    public const string OldSymbol = "_ZNSt8ios_base4InitC1Ev";

    /// <summary>Changes the image in place if it needs a version that the C++ library does not provide.</summary>
    /// <param name="image">The bytes of TorchSharp's native library.</param>
    /// <param name="name">Its path, for messages.</param>
    /// <param name="provided">The versions that the machine's C++ library defines.</param>
    /// <returns>Whether the image was changed; false where it loads as it is.</returns>
    /// <exception cref="InvalidDataException">The library is none that this method knows how to change.</exception>
    public static bool Patch(byte[] image, string name, ICollection<string> provided)
    {
        var elf = new ElfFile(image, name);
        List<NeededVersion> needed = elf.NeededVersions().Where(v => v.Library == Library).ToList();
        List<NeededVersion> missing = needed.Where(v => !v.IsWeak && !provided.Contains(v.Name)).ToList();
        if (missing.Count == 0)
        {
            return false;
        }

        if (missing.Count != 1 || missing[0].Name != NewVersion)
        {
            string names = string.Join(", ", missing.Select(v => v.Name));
            throw elf.Refuse($"it needs {names} of {Library}, expected {NewVersion} alone to be missing");
        }

        NeededVersion? old = needed.FirstOrDefault(v => v.Name == OldVersion);
        if (old is null)
        {
            throw elf.Refuse($"it does not need {OldVersion} of {Library}, which {OldSymbol} belongs to");
        }

        List<DynamicSymbol> symbols = elf.DynamicSymbols();
        List<DynamicSymbol> users = symbols.Where(s => s.Version == missing[0].Index).ToList();
        if (users.Count != 1 || users[0].Name != NewSymbol || users[0].IsDefined)
        {
            string names = users.Count == 0 ? "no symbol" : string.Join(", ", users.Take(4).Select(s => s.Name));
            throw elf.Refuse($"{names} has version {NewVersion}, expected the undefined symbol {NewSymbol} alone");
        }

        DynamicSymbol symbol = users[0];
        int end = symbol.NameOffset + NewSymbol.Length;
        if (symbols.Count(s => s.NameOffset <= end && s.NameOffset + s.Name.Length >= symbol.NameOffset) != 1)
        {
            throw elf.Refuse($"another symbol's name overlaps {NewSymbol} in .dynstr");
        }

        Encoding.ASCII.GetBytes(OldSymbol.PadRight(NewSymbol.Length, '\0')).CopyTo(image, symbol.NameOffset);
        BitConverter.GetBytes(old.Index).CopyTo(image, symbol.VersionOffset);
        BitConverter.GetBytes((ushort)(missing[0].Flags | NeededVersion.Weak)).CopyTo(image, missing[0].FlagsOffset);
        return true;
    }

    /// <summary>The versions that a shared library defines.</summary>
    /// <param name="path">The library's path.</param>
    /// <exception cref="InvalidDataException">The file is no ELF library for x64 with version definitions.</exception>
    public static HashSet<string> ProvidedVersions(string path)
        => new HashSet<string>(new ElfFile(File.ReadAllBytes(path), path).DefinedVersions(), StringComparer.Ordinal);

    /// <summary>
    /// The C++ library that programs get on this machine: the one this very process has loaded, else the first in the
    /// distributions' usual folders; null if there is none.
    /// </summary>
    public static string? FindCppLibrary()
    {
        const string maps = "/proc/self/maps";
        string? loaded = !File.Exists(maps) ? null : File.ReadLines(maps)
            .Select(line => line.IndexOf('/') is int slash and >= 0 ? line.Substring(slash) : "")
            .FirstOrDefault(path => Path.GetFileName(path).StartsWith(Library, StringComparison.Ordinal));
        string[] folders = ["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib"];
        return new[] { loaded }.Concat(folders.Select(folder => Path.Combine(folder, Library))).FirstOrDefault(File.Exists);
    }
}

/// <summary>A version that a library needs of another one: an entry of <c>.gnu.version_r</c>.</summary>
public sealed class NeededVersion
{
    public const ushort Weak = 2;

    public string Library = "";
    public string Name = "";
    public ushort Index;
    public ushort Flags;
    public int FlagsOffset;

    public bool IsWeak => (Flags & Weak) != 0;
}

/// <summary>A dynamic symbol with its version; offsets count from the start of the file.</summary>
public sealed class DynamicSymbol
{
    public string Name = "";
    public int NameOffset;
    public ushort Version;
    public int VersionOffset;
    public bool IsDefined;
}

/// <summary>The few tables of a 64-bit little-endian x64 ELF file that matter here, read with every bound checked.</summary>
public sealed class ElfFile
{
    private const int HeaderSize = 64;
    private const uint StringTable = 3, NoBits = 8, DynamicSymbolTable = 11;
    private const uint VersionDefinitions = 0x6ffffffd, VersionNeeds = 0x6ffffffe, VersionSymbols = 0x6fffffff;

    private readonly byte[] image;
    private readonly string name;
    private readonly Section[] sections;

    public ElfFile(byte[] image, string name)
    {
        this.image = image;
        this.name = name;
        if (image.Length < HeaderSize || image[0] != 0x7f || image[1] != 'E' || image[2] != 'L' || image[3] != 'F')
        {
            throw Refuse("it is no ELF file, expected 7f 45 4c 46 at offset 0");
        }

        if (image[4] != 2 || image[5] != 1)
        {
            throw Refuse($"class {image[4]} and byte order {image[5]}, expected 2 (64-bit) and 1 (little-endian)");
        }

        if (U16(0x10) != 3 || U16(0x12) != 62)
        {
            throw Refuse($"type {U16(0x10)} and machine {U16(0x12)}, expected 3 (shared library) and 62 (x86-64)");
        }

        if (U16(0x3a) != HeaderSize)
        {
            throw Refuse($"section headers of {U16(0x3a)} bytes, expected {HeaderSize}");
        }

        int table = Offset(U64(0x28), (ulong)U16(0x3c) * HeaderSize, "the section header table");
        sections = Enumerable.Range(0, U16(0x3c)).Select(i => ReadSection(table + i * HeaderSize)).ToArray();
    }

    public InvalidDataException Refuse(string reason) => new($"{name}: cannot be made loadable with an older {TorchSharpNative.Library}: {reason}.");

    public List<string> DefinedVersions()
    {
        Section section = Single(VersionDefinitions, ".gnu.version_d");
        Section strings = Strings(section);
        var names = new List<string>();
        long at = 0;
        for (uint left = section.Info; left > 0; left--)
        {
            int entry = Within(section, at, 20);
            int auxiliary = Within(section, at + U32(entry + 12), 8);
            names.Add(Text(strings, U32(auxiliary)));
            at = Next(at, entry + 16, left);
        }

        return names;
    }

    public List<NeededVersion> NeededVersions()
    {
        Section section = Single(VersionNeeds, ".gnu.version_r");
        Section strings = Strings(section);
        var versions = new List<NeededVersion>();
        long at = 0;
        for (uint left = section.Info; left > 0; left--)
        {
            int entry = Within(section, at, 16);
            string library = Text(strings, U32(entry + 4));
            long auxiliaryAt = at + U32(entry + 8);
            for (uint count = U16(entry + 2); count > 0; count--)
            {
                int auxiliary = Within(section, auxiliaryAt, 16);
                versions.Add(new NeededVersion
                {
                    Library = library,
                    Name = Text(strings, U32(auxiliary + 8)),
                    Index = U16(auxiliary + 6),
                    Flags = U16(auxiliary + 4),
                    FlagsOffset = auxiliary + 4,
                });
                auxiliaryAt = Next(auxiliaryAt, auxiliary + 12, count);
            }

            at = Next(at, entry + 12, left);
        }

        return versions;
    }

    public List<DynamicSymbol> DynamicSymbols()
    {
        Section table = Single(DynamicSymbolTable, ".dynsym");
        Section versions = Single(VersionSymbols, ".gnu.version");
        Section strings = Strings(table);
        int count = table.Size / 24;
        if (versions.Size != count * 2)
        {
            throw Refuse($".gnu.version has {versions.Size} bytes, expected 2 for each of {count} dynamic symbols");
        }

        var symbols = new List<DynamicSymbol>(count);
        for (int i = 0; i < count; i++)
        {
            int entry = table.Start + i * 24, version = versions.Start + i * 2;
            symbols.Add(new DynamicSymbol
            {
                Name = Text(strings, U32(entry)),
                NameOffset = strings.Start + (int)U32(entry),
                Version = (ushort)(U16(version) & 0x7fff),
                VersionOffset = version,
                IsDefined = U16(entry + 6) != 0,
            });
        }

        return symbols;
    }

    private Section ReadSection(int at) => U32(at + 4) == NoBits
        ? new Section(NoBits, 0, 0, 0, 0)
        : new Section(U32(at + 4), Offset(U64(at + 24), U64(at + 32), "a section"), (int)U64(at + 32), U32(at + 40), U32(at + 44));

    private Section Single(uint type, string title)
    {
        Section[] found = sections.Where(s => s.Type == type).ToArray();
        return found.Length == 1 ? found[0] : throw Refuse($"it has {found.Length} sections {title}, expected 1");
    }

    private Section Strings(Section section)
    {
        if (section.Link >= sections.Length || sections[section.Link].Type != StringTable)
        {
            throw Refuse($"section {section.Link} is no string table, but one of its tables links to it as such");
        }

        return sections[section.Link];
    }

    private string Text(Section strings, uint offset)
    {
        if (offset >= strings.Size)
        {
            throw Refuse($"a name at offset {offset} of a string table of {strings.Size} bytes");
        }

        int start = strings.Start + (int)offset;
        int end = Array.IndexOf(image, (byte)0, start, strings.Start + strings.Size - start);
        return end < 0 ? throw Refuse("a name in a string table has no end") : Encoding.ASCII.GetString(image, start, end - start);
    }

    /// <summary>The file offset of an entry of a version section, which must lie inside it.</summary>
    private int Within(Section section, long at, int size) => at >= 0 && at + size <= section.Size
        ? section.Start + (int)at
        : throw Refuse($"a version entry at {at} of a section of {section.Size} bytes");

    /// <summary>Where the next entry of a chain is; only the last one may say 0.</summary>
    private long Next(long at, int field, uint left)
    {
        uint step = U32(field);
        return step != 0 || left == 1 ? at + step : throw Refuse($"a version list ends {left - 1} entries early");
    }

    /// <summary>Checks that a range of the file exists.</summary>
    private int Offset(ulong start, ulong size, string title)
    {
        ulong length = (ulong)image.Length;
        return start <= length && size <= length - start
            ? (int)start
            : throw Refuse($"{title} of {size} bytes at offset {start} ends beyond the {length} bytes of the file");
    }

    private ushort U16(int at) => BitConverter.ToUInt16(image, at);

    private uint U32(int at) => BitConverter.ToUInt32(image, at);

    private ulong U64(int at) => BitConverter.ToUInt64(image, at);

    private readonly struct Section(uint type, int start, int size, uint link, uint info)
    {
        public uint Type { get; } = type;
        public int Start { get; } = start;
        public int Size { get; } = size;
        public uint Link { get; } = link;
        public uint Info { get; } = info;
    }
}

#if !NO_MSBUILD
/// <summary>The build's step: makes the loadable copy, or none where the original loads.</summary>
public sealed class PatchTorchSharpNative : Microsoft.Build.Utilities.Task
{
    /// <summary>The package's library, which is only read.</summary>
    [Microsoft.Build.Framework.Required]
    public string Original { get; set; } = "";

    /// <summary>Where the loadable copy goes; nothing is there afterwards if none is needed.</summary>
    [Microsoft.Build.Framework.Required]
    public string Copy { get; set; } = "";

    public override bool Execute()
    {
        File.Delete(Copy);
        if (TorchSharpNative.FindCppLibrary() is not string cpp)
        {
            Log.LogMessage("No {0} found on this machine; {1} is left as it is.", TorchSharpNative.Library, Original);
            return true;
        }

        try
        {
            byte[] image = File.ReadAllBytes(Original);
            if (TorchSharpNative.Patch(image, Original, TorchSharpNative.ProvidedVersions(cpp)))
            {
                File.WriteAllBytes(Copy, image);
                Log.LogMessage("{0} lacks {1}: {2} is used instead of {3}.", cpp, TorchSharpNative.NewVersion, Copy, Original);
            }
        }
        catch (InvalidDataException e)
        {
            Log.LogError("{0} Set the property Dho2PatchTorchSharp to false to build without this step.", e.Message);
        }

        return !Log.HasLoggedErrors;
    }
}
#endif
