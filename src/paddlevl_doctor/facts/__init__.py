"""Collects facts about the machine, its GPUs, the target and the model cache, without judging them."""
