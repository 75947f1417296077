"""The four providers as faithful local HTTP servers over one world, for the demo, tests and newcomers."""
