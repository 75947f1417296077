"""Pure rules of the engine: no I/O, no clock, no randomness; time and ids come in as arguments."""
