"""Accounts: their connectors, open or failed, and why."""
