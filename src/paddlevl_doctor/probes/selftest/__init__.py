"""The self-test: the real PaddleOCRVL reads charts it has never seen with a checkpoint written on the spot."""
