"""Running kernels: their memory, the rows of a batch, and what is computed outside the loop."""
