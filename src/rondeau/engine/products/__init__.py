"""Large matrix products outside a kernel's loop: the ways to them, and which is taken."""
