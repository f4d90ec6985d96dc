"""Documents into elements, text, clauses and chunks."""
