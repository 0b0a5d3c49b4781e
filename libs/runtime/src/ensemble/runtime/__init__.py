"""What every Ensemble service runs on: serve, health, drain, interceptors, metrics, logs."""
