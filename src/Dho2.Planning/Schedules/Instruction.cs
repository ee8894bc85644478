namespace Dho2.Planning;

/// <summary>What an <see cref="Instruction"/> does.</summary>
public enum InstructionKind
{
    /// <summary>Run the stage's forward on a micro-batch.</summary>
    Forward,

    /// <summary>Run the stage's backward on a micro-batch.</summary>
    Backward,

    /// <summary>Send a micro-batch's cut to the next stage.</summary>
    SendActivation,

    /// <summary>Receive a micro-batch's cut from the previous stage.</summary>
    ReceiveActivation,

    /// <summary>Send the gradients of a micro-batch's incoming cut to the previous stage.</summary>
    SendGradient,

    /// <summary>Receive the gradients of a micro-batch's outgoing cut from the next stage.</summary>
    ReceiveGradient,
}

/// <summary>One instruction of a stage's schedule.</summary>
/// <param name="Kind">What to do.</param>
/// <param name="MicroBatch">The micro-batch, counted from 0.</param>
public readonly record struct Instruction(InstructionKind Kind, int MicroBatch);
