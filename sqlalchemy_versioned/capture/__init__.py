"""What applications write, noticed as they flush and execute it, and handed on to be recorded."""
