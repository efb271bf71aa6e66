"""Ways to make examples in parallel, one module each, with the same batches.

Each has a function `batches` with the same parameters:

  make: number -> example; a SavosError that it raises is passed on unchanged.
  shapes: name -> shape of an example's array; uint8, except `index`, int64.
  numbers: the examples to make, in this order: a range of step 1.
  batch_size: examples per batch; divides the length of `numbers`.
  workers: examples made in parallel.
  prefetch: batches to keep ready.

It yields dictionaries of arrays with a leading axis of batch_size. Closing it
early leaves no worker behind.
"""
