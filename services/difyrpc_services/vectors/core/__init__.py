"""The rules of VectorSearch; knows neither gRPC nor a driver."""
