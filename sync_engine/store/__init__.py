"""Keeps everything between two provider calls: tables, repositories, unit of work, migrations."""
