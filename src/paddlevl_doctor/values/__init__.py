"""Frozen values that rooms pass to each other."""
