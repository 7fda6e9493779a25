"""The composition root: everything else put together for what one manager versions."""
