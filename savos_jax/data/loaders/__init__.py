"""Ways to make examples in parallel, a file each: the same batches from all.

Each has a function `batches` of the same parameters:

  make: number -> example; errors it raises as SavosError come out as they are.
  shapes: name -> shape of an example's array; all are uint8 but `index`, int64.
  numbers: what to make examples of, in this order: range of step 1.
  batch_size: examples a batch; the number of numbers is a multiple of it.
  workers: examples made at once.
  prefetch: batches kept ready.

It yields a dictionary of arrays with a leading axis of batch_size. Closed
early, it leaves no worker behind.
"""
