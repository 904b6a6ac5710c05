"""Read and write files that the user names, and the private state directory."""
