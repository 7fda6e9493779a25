"""Random declarations, random programs over them, and what history must say of those.

``kinds`` has types and their values; ``tables``, ``relations`` and ``drafts`` draw declarations, as
source text; ``worlds`` declares them; ``programs`` writes; ``rows`` is the model of history;
``checks`` compares. ``runs`` does all of it for one seed.
"""
