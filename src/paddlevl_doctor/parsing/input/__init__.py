"""Finds documents, checks them, and renders their pages."""
