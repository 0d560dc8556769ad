"""Base and grain stream in one file: the range coder, the stream's format, containers and base codecs."""
