"""The harness of measurements: competitors held to equal results and timed in turn, and the name of the processor."""
