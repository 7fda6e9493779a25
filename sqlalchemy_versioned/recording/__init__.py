"""From the changes of one transaction to its versions: merged, written, and taken back."""
