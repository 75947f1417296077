"""Keep one meeting in agreement over several meeting systems, field by field."""

__version__ = "0.1.0"
