"""Zoom Meetings API v2: hosts' scheduled meetings, read and written one by one."""
