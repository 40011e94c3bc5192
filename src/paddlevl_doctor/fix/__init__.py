"""Findings become a plan (pure); the plan runs as a transaction with a journal, and can be undone."""
