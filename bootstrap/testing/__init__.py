"""What plugin authors and pullkey's own tests run against: nothing here is imported by the product."""
