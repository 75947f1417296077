"""Adapters: our packages that speak to one provider each."""
