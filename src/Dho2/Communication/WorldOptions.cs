using System;
using System.Globalization;

namespace Dho2.Communication;

/// <summary>How a world is joined. What is left out is taken from the environment, where it is the same for all processes of a job.</summary>
public sealed record WorldOptions
{
    private readonly TimeSpan? timeout;

    /// <summary>
    /// How long any call may wait for its peers; above 0. Null takes the variable <c>DHO2_TIMEOUT</c> (seconds), or one
    /// minute.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">Not above 0.</exception>
    public TimeSpan? Timeout
    {
        get => timeout;
        init
        {
            if (value is { } given)
            {
                ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(given, TimeSpan.Zero, nameof(Timeout));
            }

            timeout = value;
        }
    }

    /// <summary>
    /// How long a process waits until all others have joined or opened the same group; above 0. Null takes the variable
    /// <c>DHO2_JOIN_TIMEOUT</c> (seconds), or one minute, or <see cref="Timeout"/> where that is longer.
    /// </summary>
    public TimeSpan? JoinTimeout { get; init; }

    /// <summary>
    /// Whether tensors are added up in the order of ranks over every transport, so that a run gives the same bits in one
    /// process and in many; else a transport may use its own, possibly faster order, which is the same in every run. Null
    /// takes the variable <c>DHO2_DETERMINISTIC</c> (1 or 0), or false.
    /// </summary>
    public bool? DeterministicReductions { get; init; }

    /// <summary>
    /// A folder for the small files in which each rank notes what it is at, for the report of a failure and for the next
    /// start. Null takes the variable <c>DHO2_PROGRESS</c>; where that is not set either, ranks in processes of their own use a
    /// folder for temporary files that is removed at the end, and ranks that are threads keep none.
    /// </summary>
    public string? ProgressFolder { get; init; }

    /// <summary>
    /// Where ranks' tensors live: <c>cpu</c>, <c>cuda</c> (the GPU of the rank's number on its machine), or <c>auto</c>, a GPU
    /// where the machine has one. Null takes the variable <c>DHO2_DEVICE</c>, or <c>auto</c>.
    /// </summary>
    public string? Device { get; init; }

    /// <summary>The options with everything that the environment gives filled in.</summary>
    /// <exception cref="CommunicationException">A variable cannot be read.</exception>
    internal WorldOptions Resolve()
    {
        string? deterministic = Variable("DHO2_DETERMINISTIC");
        TimeSpan resolved = Timeout ?? Seconds("DHO2_TIMEOUT") ?? World.DefaultTimeout;
        return this with
        {
            Timeout = resolved,
            JoinTimeout = JoinTimeout ?? Seconds("DHO2_JOIN_TIMEOUT") ?? (resolved > World.DefaultTimeout ? resolved : World.DefaultTimeout),
            DeterministicReductions = DeterministicReductions ?? deterministic switch
            {
                null or "0" => false,
                "1" => true,
                _ => throw new CommunicationException($"DHO2_DETERMINISTIC is '{deterministic}'; it takes 1 or 0."),
            },
            Device = (Device ?? Variable("DHO2_DEVICE") ?? "auto") is "auto" or "cpu" or "cuda"
                ? Device ?? Variable("DHO2_DEVICE") ?? "auto"
                : throw new CommunicationException($"The device is '{Device ?? Variable("DHO2_DEVICE")}'; it is auto, cpu or cuda."),
            ProgressFolder = ProgressFolder ?? Variable("DHO2_PROGRESS"),
        };
    }

    private static TimeSpan? Seconds(string name) => Variable(name) is not { } text ? null
        : double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) && value > 0 && value < 1e9 ? TimeSpan.FromSeconds(value)
        : throw new CommunicationException($"{name} is '{text}'; it takes seconds, a number above 0.");

    private static string? Variable(string name) => Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : null;
}
