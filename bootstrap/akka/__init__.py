"""The Akka CLI: run its commands and parse its output."""
