"""Embedded: everything the engine needs to run without any server of the operator's."""
