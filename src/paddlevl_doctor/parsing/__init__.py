"""Reading a document: input, engines, workers, the run, its evaluation and its output."""
