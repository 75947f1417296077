"""Attio: meetings on the customer's timeline; created and deleted by us, never changed in place."""
