using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Runtime.InteropServices;
using System.Text;
using Dho2.Build;
using Dho2.Tests.Shared;

namespace Dho2.EndToEnd.Tests.Native;

public class TorchSharpNativeTests
{
    private const string Name = "libLibTorchSharp.so";
    private const uint DynamicSymbolTable = 11, VersionNeeds = 0x6ffffffe, VersionSymbols = 0x6fffffff;

    // What libstdc++ of GCC 12 provides, as far as the library needs it.
    private static readonly HashSet<string> OlderVersions = new ElfFile(Original, Name).NeededVersions()
        .Where(v => v.Library == TorchSharpNative.Library && v.Name != TorchSharpNative.NewVersion)
        .Select(v => v.Name).ToHashSet();

    private static byte[] Original
        => File.ReadAllBytes(Path.Combine(BuildMetadata.Get("TorchSharpPackage"), "runtimes/linux-x64/native", Name));

    [Fact]
    public void Changes_one_name_one_symbol_version_and_one_flag()
    {
        byte[] before = Original, after = Original;

        Assert.True(TorchSharpNative.Patch(after, Name, OlderVersions));

        int name = before.AsSpan().IndexOf(Encoding.ASCII.GetBytes(TorchSharpNative.NewSymbol + "\0"));
        string written = Encoding.ASCII.GetString(after, name, TorchSharpNative.NewSymbol.Length);
        Assert.Equal(TorchSharpNative.OldSymbol, written.TrimEnd('\0'));
        (byte, byte)[] others = Enumerable.Range(0, before.Length)
            .Where(i => before[i] != after[i] && (i < name || i >= name + TorchSharpNative.NewSymbol.Length))
            .Select(i => (before[i], after[i])).ToArray();
        Assert.Equal([(18, 2), (0, 2)], others);
    }

    [Fact]
    public void What_was_changed_needs_nothing_newer_and_is_left_alone()
    {
        byte[] once = Original;
        TorchSharpNative.Patch(once, Name, OlderVersions);
        byte[] twice = [.. once];

        Assert.False(TorchSharpNative.Patch(twice, Name, OlderVersions));
        Assert.Equal(once, twice);
        var elf = new ElfFile(once, Name);
        Assert.DoesNotContain(elf.DynamicSymbols(), s => s.Name == TorchSharpNative.NewSymbol);
        DynamicSymbol symbol = Assert.Single(elf.DynamicSymbols(), s => s.Name == TorchSharpNative.OldSymbol);
        Assert.Equal(TorchSharpNative.OldVersion, Assert.Single(elf.NeededVersions(), v => v.Index == symbol.Version).Name);
    }

    [Fact]
    public void Is_left_alone_where_the_version_is_provided()
    {
        byte[] image = Original;

        Assert.False(TorchSharpNative.Patch(image, Name, [.. OlderVersions, TorchSharpNative.NewVersion]));
        Assert.Equal(Original, image);
    }

    [LinuxX64Fact]
    public void Loads_on_this_machine()
    {
        string natives = Path.Combine(AppContext.BaseDirectory, "runtimes/linux-x64/native");
        NativeLibrary.Load(Path.Combine(natives, "libtorch_cpu.so"));
        NativeLibrary.Load(Path.Combine(natives, "libtorch.so"));
        DirectoryInfo folder = Directory.CreateTempSubdirectory("dho2-native-");
        try
        {
            string original = Path.Combine(folder.FullName, "original.so"), patched = Path.Combine(folder.FullName, "patched.so");
            byte[] image = Original;
            File.WriteAllBytes(original, image);
            TorchSharpNative.Patch(image, Name, OlderVersions);
            File.WriteAllBytes(patched, image);
            HashSet<string> provided = TorchSharpNative.ProvidedVersions(TorchSharpNative.FindCppLibrary()!);

            Assert.True(NativeLibrary.TryLoad(patched, out nint handle));
            Assert.True(NativeLibrary.TryGetExport(handle, "THSTensor_grad", out _));
            Assert.Equal(provided.Contains(TorchSharpNative.NewVersion), NativeLibrary.TryLoad(original, out _));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [LinuxX64Fact]
    public void Finds_the_versions_of_this_machines_library()
    {
        string path = TorchSharpNative.FindCppLibrary()!;

        Assert.StartsWith(TorchSharpNative.Library, Path.GetFileName(path));
        Assert.Contains(TorchSharpNative.OldVersion, TorchSharpNative.ProvidedVersions(path));
    }

    [Theory]
    [InlineData(0x00, 'M', "7f 45 4c 46")]
    [InlineData(0x04, 1, "expected 2 (64-bit)")]
    [InlineData(0x05, 2, "expected 2 (64-bit) and 1 (little-endian)")]
    [InlineData(0x10, 2, "expected 3 (shared library)")]
    [InlineData(0x12, 183, "expected 3 (shared library) and 62 (x86-64)")]
    [InlineData(0x3a, 40, "expected 64")]
    [InlineData(0x2e, 1, "section header table")]
    [InlineData(0x3c, 2, "expected 1")]
    public void Refuses_another_kind_of_file(int offset, int value, string expected)
    {
        byte[] image = Original;
        image[offset] = (byte)value;

        Refuses(image, OlderVersions, expected);
    }

    [Fact]
    public void Refuses_a_library_that_needs_more_than_the_one_version()
        => Refuses(Original, OlderVersions.Where(v => v != "GLIBCXX_3.4.30").ToHashSet(), "GLIBCXX_3.4.30, GLIBCXX_3.4.32");

    [Fact]
    public void Refuses_a_library_where_another_symbol_needs_the_version()
    {
        byte[] image = Original;
        int name = image.AsSpan().IndexOf(Encoding.ASCII.GetBytes(TorchSharpNative.NewSymbol + "\0"));
        image[name + 5] = (byte)'x';

        Refuses(image, OlderVersions, $"expected the undefined symbol {TorchSharpNative.NewSymbol} alone");
    }

    [Fact]
    public void Refuses_a_library_where_two_symbols_need_the_version()
    {
        byte[] image = Original;
        DynamicSymbol other = new ElfFile(image, Name).DynamicSymbols().First(s => s.Name == "_ZSt9terminatev");
        image[other.VersionOffset] = 18;

        Refuses(image, OlderVersions, "_ZSt9terminatev");
    }

    [Fact]
    public void Refuses_a_library_without_the_older_functions_version()
    {
        byte[] image = Original;
        int name = image.AsSpan().IndexOf(Encoding.ASCII.GetBytes("\0" + TorchSharpNative.OldVersion + "\0"));
        image[name + 1] = (byte)'g';

        Refuses(image, [.. OlderVersions, "gLIBCXX_3.4"], $"does not need {TorchSharpNative.OldVersion} ");
    }

    [Fact]
    public void Refuses_a_library_where_another_name_shares_the_bytes()
    {
        byte[] image = Original;
        List<DynamicSymbol> symbols = new ElfFile(image, Name).DynamicSymbols();
        int index = symbols.FindIndex(s => s.Name == TorchSharpNative.NewSymbol);
        int other = symbols.FindIndex(s => s.Name == "_ZSt9terminatev");

        // Linkers let a name that is another one's end share its bytes.
        image.Patch(image.Section(DynamicSymbolTable).Start + (other * 24), image.U32(image.Section(DynamicSymbolTable).Start + (index * 24)) + 3);

        Refuses(image, OlderVersions, $"another symbol's name overlaps {TorchSharpNative.NewSymbol} in .dynstr");
    }

    [Theory]
    [InlineData(VersionNeeds, "it has 0 sections .gnu.version_r, expected 1")]
    [InlineData(VersionSymbols, "it has 0 sections .gnu.version, expected 1")]
    [InlineData(DynamicSymbolTable, "it has 0 sections .dynsym, expected 1")]
    public void Refuses_a_library_without_one_of_the_tables(uint type, string expected)
    {
        byte[] image = Original;
        image.Patch(image.Section(type).Header + 4, 1);

        Refuses(image, OlderVersions, expected);
    }

    [Theory]
    [InlineData(VersionNeeds)]
    [InlineData(DynamicSymbolTable)]
    public void Refuses_a_table_whose_names_are_nowhere(uint type)
    {
        byte[] image = Original;
        image.Patch(image.Section(type).Header + 40, 0);

        Refuses(image, OlderVersions, "section 0 is no string table, but one of its tables links to it as such");
    }

    [Fact]
    public void Refuses_a_name_outside_its_table()
    {
        byte[] image = Original;
        image.Patch(image.Section(VersionNeeds).Start + 4, 0x7fffffff);

        Refuses(image, OlderVersions, "a name at offset 2147483647 of a string table of ");
    }

    [Fact]
    public void Refuses_a_name_without_end()
    {
        byte[] image = Original;
        ElfSection names = image.Section(DynamicSymbolTable, linked: true);
        image.AsSpan(names.Start, names.Size).Replace((byte)0, (byte)'x');

        Refuses(image, OlderVersions, "a name in a string table has no end");
    }

    [Fact]
    public void Refuses_versions_for_another_number_of_symbols()
    {
        byte[] image = Original;
        ElfSection versions = image.Section(VersionSymbols);
        image.Patch(versions.Header + 32, (uint)versions.Size - 2);

        Refuses(image, OlderVersions, $".gnu.version has {versions.Size - 2} bytes, expected 2 for each of {versions.Size / 2} dynamic symbols");
    }

    [Fact]
    public void Refuses_a_list_of_libraries_that_ends_early()
    {
        byte[] image = Original;
        ElfSection needs = image.Section(VersionNeeds);
        image.Patch(needs.Start + 12, 0);

        Refuses(image, OlderVersions, $"a version list ends {image.U32(needs.Header + 44) - 1} entries early");
    }

    [Fact]
    public void Refuses_a_list_of_versions_that_leaves_its_table()
    {
        byte[] image = Original;
        ElfSection needs = image.Section(VersionNeeds);
        image.Patch(needs.Start + 8, (uint)needs.Size);

        Refuses(image, OlderVersions, $"a version entry at {needs.Size} of a section of {needs.Size} bytes");
    }

    [Fact]
    public void Refuses_a_truncated_file_wherever_it_ends()
    {
        byte[] image = Original;
        foreach (int length in Enumerable.Range(0, 130).Concat(Enumerable.Range(1, 40).Select(i => image.Length - i * i * 1000 - 1)))
        {
            Refuses(image[..Math.Max(0, length)], OlderVersions, "");
        }
    }

    [Fact]
    public void Never_fails_otherwise_on_a_damaged_file()
    {
        byte[] image = Original;
        int[] regions = [0, (int)BitConverter.ToInt64(image, 0x28), new ElfFile(image, Name).NeededVersions()[0].FlagsOffset];
        var random = new Random(7);
        for (int i = 0; i < 400; i++)
        {
            byte[] damaged = [.. image];
            for (int j = 0; j < 4; j++)
            {
                damaged[Math.Min(image.Length - 1, regions[i % 3] + random.Next(512))] = (byte)random.Next(256);
            }

            Exception? thrown = Record.Exception(() => TorchSharpNative.Patch(damaged, Name, OlderVersions));
            Assert.True(thrown is null or InvalidDataException, $"damage {i}: {thrown}");
        }
    }

    private static void Refuses(byte[] image, ICollection<string> provided, string expected)
    {
        byte[] before = [.. image];
        InvalidDataException refusal = Assert.Throws<InvalidDataException>(() => TorchSharpNative.Patch(image, Name, provided));
        Assert.StartsWith(Name, refusal.Message);
        Assert.Contains(expected, refusal.Message);
        Assert.Equal(before, image);
    }
}
