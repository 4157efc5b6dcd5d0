"""What every connector that speaks HTTP shares: one client per account, with limits, retries and honest errors."""
