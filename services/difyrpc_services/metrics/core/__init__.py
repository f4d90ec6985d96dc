"""The rules of the metrics service: what is recorded, how it is rolled up, how it is asked for."""
