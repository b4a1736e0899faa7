"""What a run has learned, as one HTML file without outside references."""
