"""Side by side with what else one would use, on loopback; each prints ratios, taken in turn in one run."""
