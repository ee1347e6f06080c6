"""The page of a training: what is noted of a run, the file that keeps it, and the server that shows it."""
