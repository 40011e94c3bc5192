"""What is done about findings: a plan (pure), a transaction that carries it out, and the file patcher."""
