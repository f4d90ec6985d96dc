"""Where documents are parsed, and where stored ones are read."""
