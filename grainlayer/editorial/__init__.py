"""Carry grain through an edit: shots, timelines, and what follows from them."""
