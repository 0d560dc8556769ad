"""Train, export and evaluate GrainLayer's networks; the only place where torch lives."""
