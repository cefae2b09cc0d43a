"""Compare runs: from event files to statistics, tables, figures, one HTML file, and summary runs for TensorBoard."""
