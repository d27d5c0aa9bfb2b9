"""What is decided, what is staged, and what can be read at a ledger entry."""
