"""How the configuration file is read: where keys stand, what the environment overrides, what is wrong."""
