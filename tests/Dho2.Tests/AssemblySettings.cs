// Counts of live tensors, the default random generator and the number of threads belong to the process.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
