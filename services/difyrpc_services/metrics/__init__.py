"""The MetricsCollector service: usage of models and tools, counted exactly once."""
