"""Run whole files through the effect, shot by shot, with progress."""
