"""Who writes, and why: from what is said of a transaction to the columns of its row."""
