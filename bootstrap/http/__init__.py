"""HTTP as all clients use it: quick to import, with bounds on what is read."""
