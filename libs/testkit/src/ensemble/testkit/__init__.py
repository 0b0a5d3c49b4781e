"""Scripted engines and process topologies for Ensemble tests."""
