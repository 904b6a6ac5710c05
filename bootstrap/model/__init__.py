"""Values that import nothing of pullkey's but each other."""
