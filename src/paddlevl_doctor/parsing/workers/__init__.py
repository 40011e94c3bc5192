"""Processes that read pages: how they are started, watched, kept warm and ended."""
