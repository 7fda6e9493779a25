"""History as objects: versions, collections of them, what differs between them, and the past."""
