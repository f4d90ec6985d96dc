"""The last release, taken from the repository's own history, and what must go between it and this tree."""
