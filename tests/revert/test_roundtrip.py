"""Random changes to a graph of objects, and reverts to each of its states."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from sqlalchemy_versioned import version_class

RELATIONS = ["comments", "tags", "author"]

NAMES = st.sampled_from(["a", "b", "c"])
PLACES = st.integers(0, 2)
CHANGES = st.one_of(
    st.tuples(st.just("rename"), NAMES),
    st.tuples(st.just("comment"), NAMES),
    st.tuples(st.just("edit"), PLACES, NAMES),
    st.tuples(st.just("move"), PLACES),
    st.tuples(st.just("take"), PLACES),
    st.tuples(st.just("drop"), PLACES),
    st.tuples(st.just("tag"), PLACES),
    st.tuples(st.just("untag"), PLACES),
    st.tuples(st.just("retag"), PLACES, NAMES),
    st.tuples(st.just("author"), PLACES),
    st.tuples(st.just("no author")),
    st.tuples(st.just("delete")),
)
PROGRAMS = st.lists(st.lists(CHANGES, min_size=1, max_size=4), min_size=2, max_size=5)


class Story:
    """An article that things happen to, and another one beside it."""

    def __init__(self, session, blog):
        self.session, self.blog = session, blog
        make = blog.factories
        self.authors = [make.Author(name=name) for name in "xyz"]
        self.tags = [make.Tag(name=name) for name in "pqr"]
        self.article = make.Article(name="start")
        self.other = make.Article(name="other")
        self.commit()
        self.identity = self.article.id

    def commit(self):
        """Commit, with a version of the article in any case."""
        if self.article is not None:
            self.article.content = (self.article.content or "") + "."
        self.session.commit()

    def run(self, change):
        """Make one change, if it can be made."""
        kind, *arguments = change
        if self.article is not None:
            getattr(self, "do_" + kind.replace(" ", "_"))(*arguments)
            self.session.flush()

    def do_rename(self, name):
        self.article.name = name

    def do_comment(self, content):
        self.article.comments.append(self.blog.Comment(content=content))

    def do_edit(self, place, content):
        for comment in self.article.comments[place : place + 1]:
            comment.content = content

    def do_move(self, place):
        for comment in self.article.comments[place : place + 1]:
            comment.article = self.other

    def do_take(self, place):
        for comment in self.other.comments[place : place + 1]:
            comment.article = self.article

    def do_drop(self, place):
        for comment in self.article.comments[place : place + 1]:
            self.article.comments.remove(comment)

    def do_tag(self, place):
        if self.tags[place] not in self.article.tags:
            self.article.tags.append(self.tags[place])

    def do_untag(self, place):
        if self.tags[place] in self.article.tags:
            self.article.tags.remove(self.tags[place])

    def do_retag(self, place, name):
        self.tags[place].name = name

    def do_author(self, place):
        self.article.author = self.authors[place]

    def do_no_author(self):
        self.article.author = None

    def do_delete(self):
        self.session.delete(self.article)
        self.article = None

    def state(self):
        """Return what the database has of the article and what belongs to it."""
        with Session(self.session.get_bind()) as fresh:
            article = fresh.get(self.blog.Article, self.identity)
            if article is None:
                return None
            return {
                "columns": (article.name, article.content),
                "comments": [(c.id, c.content) for c in article.comments],
                "tags": [(t.id, t.name) for t in article.tags],
                "author": article.author and (article.author.id, article.author.name),
            }


@pytest.fixture
def tell(session, blog):
    """Run a program; return its story, the versions of the article and the states they are of."""

    def run(program):
        session.rollback()
        story = Story(session, blog)
        return story, *states_of(story, program)

    return run


def states_of(story, program):
    """Run *program*; return the versions of the article, and what there was at each."""
    states = [story.state()]
    for changes in program:
        for change in changes:
            story.run(change)
        was_there = states[-1] is not None
        story.commit()
        if was_there:
            states.append(story.state())

    version = version_class(story.blog.Article)
    history = version.all_versions(story.session, {"id": story.identity}, desc=False)
    assert len(history) == len(states)
    return history, states


@pytest.mark.strategies("validity", "subquery")
@given(program=PROGRAMS)
def test_every_state_can_be_reverted_to(session, tell, program):
    """Each version, with its relations, brings back the state it was recorded in."""
    story, history, states = tell(program)
    order = [*reversed(range(len(states))), *range(len(states))]
    for place in order:
        reverted = history[place].revert(relations=RELATIONS)
        assert (reverted is None) == (states[place] is None)
        session.commit()
        assert story.state() == states[place]


@pytest.mark.strategies("validity", "subquery")
@given(program=PROGRAMS, data=st.data())
def test_the_last_of_several_reverts_counts(session, tell, program, data):
    """Reverting takes back what an earlier revert did and nobody flushed."""
    story, history, states = tell(program)
    places = data.draw(st.lists(st.integers(0, len(states) - 1), min_size=2, max_size=4))
    for place in places:
        with session.no_autoflush:
            history[place].revert(relations=RELATIONS)
    session.commit()

    assert story.state() == states[places[-1]]
