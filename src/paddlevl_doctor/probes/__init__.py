"""Programs that the target's own Python runs (3.8 or later); each prints one JSON document as its last line."""
