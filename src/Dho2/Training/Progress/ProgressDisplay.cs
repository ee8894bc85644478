namespace Dho2;

/// <summary>Whether <c>Fit</c> shows how far it is.</summary>
public enum ProgressDisplay
{
    /// <summary>Unless somebody listens to <see cref="Trainer.StepCompleted"/>, who has something else in mind.</summary>
    Auto,

    /// <summary>In any case.</summary>
    Always,

    /// <summary>Never.</summary>
    Never,
}
