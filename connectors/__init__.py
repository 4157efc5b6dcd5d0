"""Translators between mail backends and the contract in `connectors.api`."""
