"""The harness of measurements: competitors whose results must agree, timed in turn, and the name of the processor."""
