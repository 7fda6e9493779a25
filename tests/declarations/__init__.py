"""Random declarations, random programs over them, and what history must say of those.

``kinds`` has types and their values; ``tables``, ``relations`` and ``drafts`` draw declarations, as
source text; ``worlds`` declares them; ``programs``, ``statements``, ``upserts`` and
``detours`` write; ``checks`` compares. ``runs`` does all of it for one seed.
"""
