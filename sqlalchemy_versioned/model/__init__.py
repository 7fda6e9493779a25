"""What a versioned table is: what is recorded of it, under which names, and where that is found."""
