"""Writes what was read: Markdown, tables, workbooks, and the report of the run."""
