"""Attio as a faithful local server."""

from sync_engine.sandbox.attio.sandbox import AttioSandbox

__all__ = ["AttioSandbox"]
