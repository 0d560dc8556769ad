"""Measure grain, describe it, and make it again."""
