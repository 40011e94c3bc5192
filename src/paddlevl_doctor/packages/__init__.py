"""Package indexes, mirrors, resolution with uv, downloads of wheels, and wheelhouses."""
