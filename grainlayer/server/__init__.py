"""The inference server behind the OpenFX bridge: protocol, shared memory, service."""
