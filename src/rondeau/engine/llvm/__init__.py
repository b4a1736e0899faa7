"""From a plan to machine code for this processor."""
