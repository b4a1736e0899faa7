"""What a run is given: every argument checked, every size known."""
