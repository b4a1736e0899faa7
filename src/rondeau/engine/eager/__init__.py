"""A cell's expressions on tensors, operation by operation."""
