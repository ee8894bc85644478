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

    /// <summary>Compute the gradients of a micro-batch's incoming cut only; those of the parameters follow in <see cref="BackwardWeight"/>.</summary>
    BackwardInput,

    /// <summary>Add up the gradients of the stage's parameters of a micro-batch whose <see cref="BackwardInput"/> is done.</summary>
    BackwardWeight,
}

/// <summary>One instruction of a rank's schedule.</summary>
/// <param name="Kind">What to do.</param>
/// <param name="MicroBatch">The micro-batch, counted from 0.</param>
/// <param name="Stage">The stage that it is done for.</param>
public readonly record struct Instruction(InstructionKind Kind, int MicroBatch, int Stage)
{
    /// <summary>Whether it computes, and so takes time on the rank.</summary>
    public bool IsComputation =>
        Kind is InstructionKind.Forward or InstructionKind.Backward or InstructionKind.BackwardInput or InstructionKind.BackwardWeight;

    /// <summary>Whether it sends.</summary>
    public bool IsSend => Kind is InstructionKind.SendActivation or InstructionKind.SendGradient;

    /// <summary>Whether it receives.</summary>
    public bool IsReceive => Kind is InstructionKind.ReceiveActivation or InstructionKind.ReceiveGradient;

    /// <inheritdoc/>
    public override string ToString() => $"{Kind}(micro-batch {MicroBatch}, stage {Stage})";
}
