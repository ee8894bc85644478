using System;
using System.IO;
using System.Linq;
using System.Text.Json;

namespace Dho2.Tests.Golden;

/// <summary>A reference trajectory of softmax regression, made by an independent implementation.</summary>
internal sealed class GoldenFile
{
    private readonly JsonElement root;

    private GoldenFile(JsonElement root) => this.root = root;

    public SoftmaxRegression Problem => new(Matrix(root.GetProperty("x")), [.. Numbers(root.GetProperty("y")).Select(v => (long)v)]);

    public double[] Start => Numbers(root.GetProperty("theta0"));

    public double StartLoss => root.GetProperty("loss0").GetDouble();

    public double[] StartGradient => Numbers(root.GetProperty("grad0"));

    public double[] StartEigenvalues => Numbers(root.GetProperty("eigenvalues0"));

    public BaseKind Base => Text("base") switch
    {
        "sgd" => BaseKind.Sgd,
        "momentum" => BaseKind.HeavyBall,
        "nesterov" => BaseKind.Nesterov,
        "adam" => BaseKind.Adam,
        string other => throw new InvalidDataException($"Unknown base '{other}'."),
    };

    public static GoldenFile Load(string name)
    {
        using JsonDocument document = JsonDocument.Parse(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Golden", name + ".json")));
        return new GoldenFile(document.RootElement.Clone());
    }

    public double Number(string name) => root.GetProperty("spec").GetProperty(name).GetDouble();

    public int Count(string name) => (int)Number(name);

    public double[] Result(string name) => Numbers(root.GetProperty("result").GetProperty(name));

    public double[][] ResultRows(string name) => Matrix(root.GetProperty("result").GetProperty(name));

    /// <summary>The eigenvalues at each refresh, ascending.</summary>
    public double[][] Spectra => [.. root.GetProperty("result").GetProperty("spectra").EnumerateArray().Select(s => Numbers(s.GetProperty("eigenvalues")))];

    private string Text(string name) => root.GetProperty("spec").GetProperty(name).GetString()!;

    private static double[] Numbers(JsonElement element) => [.. element.EnumerateArray().Select(e => e.GetDouble())];

    private static double[][] Matrix(JsonElement element) => [.. element.EnumerateArray().Select(Numbers)];
}
