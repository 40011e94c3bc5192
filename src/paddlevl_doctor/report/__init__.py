"""One renderer a format; the only code that prints."""
