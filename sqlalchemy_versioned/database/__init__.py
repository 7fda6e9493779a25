"""What databases and their sessions take and do, whatever is recorded in them."""
