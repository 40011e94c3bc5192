"""What is true here: the machine, its GPUs, the target, the model cache. Nothing is judged in this room."""
