using Dho2.Checkpoints;
using TorchSharp;

namespace Dho2;

/// <summary>
/// The state of the process's default random generator, which a model's own code may draw from; all else that is random
/// here follows from seeds and numbers of steps.
/// </summary>
internal sealed class RandomState : IStateful
{
    private const string Name = "random.default";

    private torch.Tensor? saved;

    /// <inheritdoc/>
    public void Save(StateWriter state)
    {
        saved?.Dispose();
        saved = torch.Generator.Default.get_state().DetachFromDisposeScope();
        state.Tensor(Name, saved, StateScope.PerStage | StateScope.PerReplica);
    }

    /// <inheritdoc/>
    public void Load(StateReader state)
    {
        using torch.Tensor? found = state.FindTensor(Name, StateScope.PerStage | StateScope.PerReplica);
        if (found is not null)
        {
            torch.Generator.Default.set_state(found);
        }
    }
}
