"""Who may log in, and with what: users, SASL, sealed secrets."""
