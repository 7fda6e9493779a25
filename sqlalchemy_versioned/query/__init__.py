"""Statements about versions.  Nothing in this package knows a session."""
