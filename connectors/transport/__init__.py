"""HTTP as the connectors to web services need it: one client per account, retries, limits, quota budgets, paging."""
