"""Relationships of versions against a model of history in plain Python."""

from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import inspect, select
from sqlalchemy.orm import Session, joinedload, selectinload, subqueryload

from sqlalchemy_versioned import version_class
from tests.schemas.nodes import build_nodes

pytestmark = pytest.mark.strategies

KEYS = ("parent", "children", "follows", "followers", "tags")
IDS = (1, 2, 3)
NAMES = st.sampled_from("abcdefghij")


@pytest.fixture
def models(keep):
    """Nodes with a parent, links among themselves, and tags."""
    return keep(build_nodes)


STEPS = st.one_of(
    st.tuples(st.just("node"), st.sampled_from(IDS), NAMES),
    st.tuples(st.just("tag"), st.sampled_from(IDS), NAMES),
    st.tuples(st.just("parent"), st.sampled_from(IDS), st.sampled_from((None, *IDS))),
    st.tuples(st.just("follow"), st.sampled_from(IDS), st.sampled_from(IDS)),
    st.tuples(st.just("label"), st.sampled_from(IDS), st.sampled_from(IDS)),
    st.tuples(st.just("drop tag"), st.sampled_from(IDS), st.none()),
    st.tuples(st.just("commit"), st.none(), st.none()),
)


class World:
    """The live rows in plain Python, written to a session at the same time."""

    def __init__(self, session, models):
        self.session, self.models = session, models
        self.nodes, self.tags, self.parents = {}, {}, {}
        self.follows, self.labels = set(), set()

    def step(self, kind, one, other):
        """Do one step, if it makes sense."""
        getattr(self, kind.replace(" ", "_"))(one, other)
        self.session.flush()
        # Collections still hold what was deleted.
        self.session.expire_all()

    def node(self, one, name):
        """Make or rename a node."""
        self._put(self.models.Node, one, name)
        self.nodes[one] = name

    def tag(self, one, name):
        """Make or rename a tag."""
        self._put(self.models.Tag, one, name)
        self.tags[one] = name

    def _put(self, cls, one, name):
        found = self.session.get(cls, one)
        if found is None:
            self.session.add(cls(id=one, name=name))
        else:
            found.name = name

    def parent(self, one, other):
        """Set a node's parent, never in a circle."""
        if one in self.nodes and (other is None or (other in self.nodes and other < one)):
            self._get("Node", one).parent = other and self._get("Node", other)
            self.parents[one] = other

    def follow(self, one, other):
        """Make a link, or cut it."""
        if one in self.nodes and other in self.nodes:
            node = self._get("Node", one)
            self._toggle(node.follows, self._get("Node", other))
            self.follows ^= {(one, other)}

    def label(self, one, other):
        """Give a node a tag, or take it away."""
        if one in self.nodes and other in self.tags:
            node = self._get("Node", one)
            self._toggle(node.tags, self._get("Tag", other))
            self.labels ^= {(one, other)}

    def drop_tag(self, one, _):
        """Delete a tag."""
        if one in self.tags:
            self.session.delete(self._get("Tag", one))
            del self.tags[one]
            self.labels = {link for link in self.labels if link[1] != one}

    def _get(self, name, one):
        return self.session.get(getattr(self.models, name), one)

    @staticmethod
    def _toggle(members, member):
        change = members.remove if member in members else members.append
        change(member)

    def image(self):
        """Return for each node what it leads to, as sorted lists of ids and names."""
        nodes, tags = self.nodes, self.tags
        return {
            one: {
                "parent": [(p, nodes[p]) for p in [self.parents.get(one)] if p],
                "children": [(c, nodes[c]) for c in nodes if self.parents.get(c) == one],
                "follows": [(b, nodes[b]) for a, b in self.follows if a == one],
                "followers": [(a, nodes[a]) for a, b in self.follows if b == one],
                "tags": [(t, tags[t]) for a, t in self.labels if a == one],
            }
            for one in nodes
        }


def run(world, steps):
    """Do the steps; return what there was after each transaction, by its id."""
    from sqlalchemy_versioned import versioning_manager

    images = {}
    for kind, one, other in [*steps, ("commit", None, None)]:
        if kind != "commit":
            world.step(kind, one, other)
            continue
        transaction = versioning_manager.unit_of_work(world.session).current_transaction
        if transaction is not None:
            images[transaction.id] = deepcopy(world.image())
        world.session.commit()
    return images


def read(value):
    """Return what a relationship gave as a sorted list of ids and names."""
    members = value if isinstance(value, list) else [value] if value is not None else []
    return sorted((each.id, each.name) for each in members)


@given(steps=st.lists(STEPS, min_size=5, max_size=25))
def test_any_history(tables, empty_tables, models, steps):
    """After any changes, every version leads to what there was at its transaction."""
    empty_tables()
    Node = version_class(models.Node)
    with Session(tables) as session:
        images = run(World(session, models), steps)
        for loader in (None, joinedload, selectinload, subqueryload):
            session.expunge_all()
            options = [loader(getattr(Node, key)) for key in KEYS] if loader else []
            rows = select(Node).options(*options).order_by(*inspect(Node).primary_key)
            # Of several events of one transaction, only the last one tells how it ended.
            last = {(v.transaction_id, v.id): v for v in session.scalars(rows).unique()}
            for version in last.values():
                image = images[version.transaction_id][version.id]
                found = {key: read(getattr(version, key)) for key in KEYS}
                assert found == {key: sorted(members) for key, members in image.items()}
