"""An application of another library, and what is asked of its database once it has moved."""
