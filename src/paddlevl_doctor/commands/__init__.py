"""One module a verb. Each takes a system and options and returns a value; nothing in this room prints."""
