"""A server for the vision model: the plan and the process."""
