"""From a cell to a plan of kernels: passes from value to value that know neither torch nor LLVM."""
