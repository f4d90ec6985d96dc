"""Our parser beside its peers, on the same files in one run."""
