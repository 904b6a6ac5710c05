"""The Akka CLI: its processes, what it prints, and its records."""
