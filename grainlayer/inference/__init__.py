"""Run the networks: find a model, open it, call it."""
