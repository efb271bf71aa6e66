"""The base of all other parts: errors, files, names, threads, processes."""
