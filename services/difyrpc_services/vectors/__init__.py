"""VectorSearch: collections of points that are found by meaning."""
