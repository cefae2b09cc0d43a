"""What shows a comparison: terminal, page, tables, figures, TensorBoard."""
