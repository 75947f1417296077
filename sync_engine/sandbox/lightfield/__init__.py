"""Lightfield as a local server: the meeting API with its quirks, and what people do to meetings."""

from sync_engine.sandbox.lightfield.sandbox import LightfieldSandbox

__all__ = ["LightfieldSandbox"]
