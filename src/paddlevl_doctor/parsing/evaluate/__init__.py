"""Compares what was read with a ground truth or with a second reading."""
