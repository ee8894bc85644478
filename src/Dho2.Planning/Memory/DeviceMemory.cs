using System.Linq;

namespace Dho2.Planning;

/// <summary>The memory of the devices that hold the stages.</summary>
public static class DeviceMemory
{
    /// <summary>Bytes of a stage's device: the smallest that its layers' classes state, else the model's; null where not stated.</summary>
    /// <param name="stage">The stage.</param>
    /// <param name="model">The model.</param>
    /// <param name="options">The options of the plan.</param>
    public static long? Of(StagePlan stage, ModelDescription model, ModelOptions options) =>
        stage.Layers.Select(layer => model.Layers[layer].DeviceMemory).Min() ?? options.DeviceMemory;
}
