"""What all parts stand on: errors, files, names, threads, processes."""
