using Xunit;

// Layers draw their weights from libtorch's default generator, which all threads share: a model that one test builds by
// its own constructor would draw in between the seed and the weights of another's stage.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
