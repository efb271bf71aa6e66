"""A video from its source to files: frames in, marks, tracker, sinks."""
