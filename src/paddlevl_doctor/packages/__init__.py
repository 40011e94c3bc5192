"""Where wheels come from and how they get here: uv, indexes, mirrors, downloads, wheelhouses."""
