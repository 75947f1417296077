"""Everything the engine answers over HTTP: deliveries, health, metrics."""
