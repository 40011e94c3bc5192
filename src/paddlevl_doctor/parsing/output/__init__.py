"""Writes a reading as Markdown, JSON, workbook and PDFs, and builds the report of a run."""
