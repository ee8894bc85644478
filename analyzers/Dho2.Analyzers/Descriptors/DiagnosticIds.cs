namespace Dho2.Analyzers;

/// <summary>
/// The identifiers of all diagnostics. An identifier is never given to another diagnostic. 10xx: declarations;
/// 11xx: the partition; 12xx: shapes and models; 13xx: schedule and batch; 14xx: memory and balance; 15xx: curvature; 16xx: ADMM;
/// 19xx: faults of this library.
/// </summary>
public static class DiagnosticIds
{
    /// <summary>A pipeline class, or a type around it, is not partial.</summary>
    public const string NotPartial = "DHO1001";

    /// <summary>A pipeline class has a form that cannot be partitioned.</summary>
    public const string UnsupportedForm = "DHO1002";

    /// <summary>A pipeline class has no <c>forward</c> with a body.</summary>
    public const string ForwardMissing = "DHO1003";

    /// <summary><c>[Input]</c> attributes do not describe the parameters of <c>forward</c>.</summary>
    public const string InputMismatch = "DHO1004";

    /// <summary>There is no usable <c>Loss</c>.</summary>
    public const string LossMissing = "DHO1005";

    /// <summary>A value of an attribute is out of range.</summary>
    public const string OutOfRange = "DHO1006";

    /// <summary>The creation of a layer was not understood.</summary>
    public const string LayerNotCreated = "DHO1007";

    /// <summary>The shape of an input is not stated.</summary>
    public const string InputWithoutShape = "DHO1008";

    /// <summary>A pipeline class has no layers.</summary>
    public const string NoLayers = "DHO1009";

    /// <summary>A layer has no stage.</summary>
    public const string LayerWithoutStage = "DHO1101";

    /// <summary>Stage numbers have a gap.</summary>
    public const string StageGap = "DHO1102";

    /// <summary>A stage number is negative.</summary>
    public const string StageOutOfRange = "DHO1103";

    /// <summary>A later stage feeds an earlier one.</summary>
    public const string LaterStageFeedsEarlier = "DHO1104";

    /// <summary>A statement of <c>forward</c> cannot be sliced.</summary>
    public const string StatementNotSliced = "DHO1105";

    /// <summary>A statement that is copied as a whole uses layers of several stages.</summary>
    public const string StatementOverSeveralStages = "DHO1106";

    /// <summary>A value crosses a cut whose type cannot.</summary>
    public const string ValueCannotCross = "DHO1107";

    /// <summary><c>forward</c> uses an instance member that no stage has.</summary>
    public const string InstanceMember = "DHO1108";

    /// <summary>A function draws random numbers that would depend on the partition.</summary>
    public const string PartitionDependentRandomness = "DHO1109";

    /// <summary>A dropout inside a layer draws masks that depend on the partition.</summary>
    public const string NestedDropout = "DHO1110";

    /// <summary>An operation gets a tensor of a shape that it refuses.</summary>
    public const string ShapeMismatch = "DHO1201";

    /// <summary>An operation or layer gets an argument or an element type that it refuses.</summary>
    public const string ArgumentRefused = "DHO1202";

    /// <summary>The stages of a list of layers do not fit it.</summary>
    public const string StagesOfList = "DHO1203";

    /// <summary>Parameters cannot be tied.</summary>
    public const string TieImpossible = "DHO1204";

    /// <summary>There are fewer micro-batches than stages.</summary>
    public const string FewerMicroBatchesThanStages = "DHO1301";

    /// <summary>There are fewer samples than micro-batches.</summary>
    public const string FewerSamplesThanMicroBatches = "DHO1302";

    /// <summary>Curvature is wanted where ranks hold several stages.</summary>
    public const string CurvatureOfInterleavedStages = "DHO1303";

    /// <summary>Batch normalisation sees a micro-batch and not the batch.</summary>
    public const string BatchStatisticsPerMicroBatch = "DHO1304";

    /// <summary>A stage needs more memory than its device has.</summary>
    public const string StageDoesNotFit = "DHO1401";

    /// <summary>A stage needs most of the memory of its device.</summary>
    public const string StageNearlyFull = "DHO1402";

    /// <summary>What a pipeline needs: bytes of every stage, and the bubble.</summary>
    public const string PlanSummary = "DHO1403";

    /// <summary>One stage takes much longer than the slowest of another partition would.</summary>
    public const string StagesUnbalanced = "DHO1404";

    /// <summary>A layer's rank makes the curvature block-diagonal.</summary>
    public const string CurvatureBlockDiagonal = "DHO1501";

    /// <summary>More eigenpairs are to be kept than there are parameters.</summary>
    public const string RankAboveParameters = "DHO1502";

    /// <summary>An operation has no second derivative, and the curvature needs it.</summary>
    public const string NoSecondDerivative = "DHO1503";

    /// <summary>Estimates have too few products to find the wanted eigenpairs.</summary>
    public const string OrderSmall = "DHO1504";

    /// <summary>Weight decay outside the loss, which the curvature does not see.</summary>
    public const string DecayOutsideLoss = "DHO1505";

    /// <summary>ADMM's over-relaxation is above what is advised.</summary>
    public const string RelaxationHigh = "DHO1601";

    /// <summary>The description that was read of the model contradicts itself: a fault of this library.</summary>
    public const string DescriptionInconsistent = "DHO1901";
}
