"""Reading and writing the files that a user names, and directories that must be ours alone."""
