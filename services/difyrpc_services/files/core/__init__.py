"""What files and uploads are and which rules they keep; knows neither gRPC nor a driver."""
