"""A listing as one page of HTML that needs nothing but itself: what `pullkey report --html` writes."""
