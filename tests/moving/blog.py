"""An application of SQLAlchemy-Continuum, which does a hundred transactions and tells of each.

It is run in a process of its own, ``python blog.py URL JOURNAL [native]``, and never imported by
tests.  To move it, nothing is changed but the import; test_moving_in.py does that to a copy.
"""

import enum
import json
import random
import sys
from decimal import Decimal
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Session, configure_mappers, relationship, selectinload
from sqlalchemy_continuum import make_versioned, versioning_manager
from sqlalchemy_continuum.plugins import ActivityPlugin

activities = ActivityPlugin()
make_versioned(
    user_cls="User",
    options={"native_versioning": "native" in sys.argv},
    plugins=[activities],
)


class Base(DeclarativeBase):
    """The base of the models."""


class Status(enum.Enum):
    """Kept by its name."""

    OPEN = 1
    DONE = 2


class User(Base):
    """Who writes; without history."""

    __tablename__ = "user"
    id = sa.Column(sa.Integer, primary_key=True)
    name = sa.Column(sa.String(50))


article_tag = sa.Table(
    "article_tag",
    Base.metadata,
    sa.Column("article_id", sa.ForeignKey("article.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("tag_id", sa.ForeignKey("tag.id", ondelete="CASCADE"), primary_key=True),
)


class Article(Base):
    """Has children, links, and a column that is not kept."""

    __tablename__ = "article"
    __versioned__ = {"exclude": ["views"]}
    id = sa.Column(sa.Integer, primary_key=True)
    name = sa.Column(sa.String(50), nullable=False)
    status = sa.Column(sa.Enum(Status, name="status"))
    settings = sa.Column(sa.JSON)
    score = sa.Column(sa.Integer, default=5)
    views = sa.Column(sa.Integer, default=0)
    tags = relationship("Tag", secondary=article_tag, order_by="Tag.id", back_populates="articles")
    comments = relationship(
        "Comment", order_by="Comment.id", back_populates="article", cascade="all, delete-orphan"
    )


class Tag(Base):
    """Linked with articles."""

    __tablename__ = "tag"
    __table_args__ = {"sqlite_autoincrement": True}
    __versioned__ = {}
    id = sa.Column(sa.Integer, primary_key=True)
    name = sa.Column(sa.String(50))
    articles = relationship(Article, secondary=article_tag, back_populates="tags")


class Comment(Base):
    """The child of an article."""

    __tablename__ = "comment"
    __versioned__ = {}
    id = sa.Column(sa.Integer, primary_key=True)
    body = sa.Column(sa.Text)
    article_id = sa.Column(sa.ForeignKey("article.id"), index=True)
    article = relationship(Article, back_populates="comments")


class Animal(Base):
    """Joined and single table inheritance."""

    __tablename__ = "animal"
    __table_args__ = {"sqlite_autoincrement": True}
    __versioned__ = {}
    __mapper_args__ = {
        "polymorphic_on": "kind",
        "polymorphic_identity": "animal",
        "with_polymorphic": "*",
    }
    id = sa.Column(sa.Integer, primary_key=True)
    kind = sa.Column(sa.String(20))
    name = sa.Column(sa.String(50))


class Dog(Animal):
    """Has a table of its own."""

    __tablename__ = "dog"
    __mapper_args__ = {"polymorphic_identity": "dog"}
    id = sa.Column(sa.ForeignKey("animal.id"), primary_key=True)
    breed = sa.Column(sa.String(50))


class Cat(Animal):
    """Has none."""

    __mapper_args__ = {"polymorphic_identity": "cat"}
    lives = sa.Column(sa.Integer)


class Price(Base):
    """Has two keys."""

    __tablename__ = "price"
    __versioned__ = {}
    country = sa.Column(sa.String(2), primary_key=True)
    product = sa.Column(sa.Integer, primary_key=True, autoincrement=False)
    amount = sa.Column(sa.Numeric(8, 2))


configure_mappers()

CLASSES = (Article, Tag, Comment, Animal, Price)


def state_of(session):
    """Return everything that has history, as it stands."""
    session.expire_all()
    told = {"Article": [], "Tag": [], "Comment": [], "Animal": [], "Price": []}
    related = [selectinload(Article.tags), selectinload(Article.comments)]
    for article in session.scalars(sa.select(Article).order_by(Article.id).options(*related)):
        status = article.status and article.status.name
        values = [article.id, article.name, status, article.settings, article.score]
        links = [[each.id for each in kind] for kind in (article.tags, article.comments)]
        told["Article"].append(values + links)
    related = [selectinload(Tag.articles)]
    for tag in session.scalars(sa.select(Tag).order_by(Tag.id).options(*related)):
        told["Tag"].append([tag.id, tag.name, sorted(each.id for each in tag.articles)])
    for comment in session.scalars(sa.select(Comment).order_by(Comment.id)):
        told["Comment"].append([comment.id, comment.body, comment.article_id])
    for animal in session.scalars(sa.select(Animal).order_by(Animal.id)):
        own = [getattr(animal, key, None) for key in ("breed", "lives")]
        told["Animal"].append([animal.id, animal.kind, animal.name, *own])
    for price in session.scalars(sa.select(Price).order_by(Price.country, Price.product)):
        told["Price"].append([price.country, price.product, str(price.amount)])
    return told


class Program:
    """Changes chosen by chance, and the same ones every time."""

    def __init__(self, session):
        self.session = session
        self.chance = random.Random(7)
        self.kinds = [self.article, self.tag, self.comment, self.animal, self.price, self.link]

    def step(self, number):
        """Change some objects."""
        for kind in self.chance.sample(self.kinds, self.chance.randint(1, 3)):
            with self.session.no_autoflush:
                kind(f"{kind.__name__} {number}")

    def some(self, cls, share=0.6):
        """Return an object that there is, or None."""
        key = sa.inspect(cls).primary_key
        found = self.session.scalars(sa.select(cls).order_by(*key)).all()
        found = [obj for obj in found if obj not in self.session.deleted]
        return self.chance.choice(found) if found and self.chance.random() < share else None

    def may_delete(self, obj):
        """Delete an object now and then, but not what was just linked: that goes unnoticed."""
        if obj not in self.session.dirty and self.chance.random() < 0.2:
            self.session.delete(obj)
            return True
        return False

    def article(self, name):
        """Add an article, or change or delete one."""
        article = self.some(Article)
        if article is None:
            self.session.add(Article(name=name, status=Status.OPEN, settings={"n": [1, name]}))
        elif not self.may_delete(article):
            article.name, article.settings = name, {"n": name}
            article.status = self.chance.choice([Status.OPEN, Status.DONE, None])
            article.views += 1

    def tag(self, name):
        """Add a tag, or change or delete one."""
        tag = self.some(Tag)
        if tag is None:
            self.session.add(Tag(name=name))
        elif not self.may_delete(tag):
            tag.name = name

    def comment(self, name):
        """Add a comment, or change, move or delete one."""
        comment = self.some(Comment)
        if comment is None:
            self.session.add(Comment(body=name, article=self.some(Article)))
        elif not self.may_delete(comment):
            comment.body, comment.article = name, self.some(Article) or comment.article

    def animal(self, name):
        """Add an animal of some kind, or change or delete one."""
        animal = self.some(Animal, 0.7)
        if animal is None:
            new = [Animal(), Dog(breed=name), Cat(lives=9)]
            self.session.add(self.chance.choice(new))
        elif not self.may_delete(animal):
            animal.name = name
            if isinstance(animal, Dog):
                animal.breed = name
            if isinstance(animal, Cat):
                animal.lives -= 1

    def price(self, name):
        """Add a price, or change or delete one."""
        price = self.some(Price)
        amount = Decimal(self.chance.randint(1, 999))
        if price is None:
            country, product = self.chance.choice(["at", "de", "fr"]), self.chance.randint(1, 9)
            price = self.session.get(Price, (country, product)) or Price(
                country=country, product=product
            )
            self.session.add(price)
            price.amount = amount
        elif not self.may_delete(price):
            price.amount = amount

    def link(self, name):
        """Link an article and a tag, or take the link off."""
        article, tag = self.some(Article, 1), self.some(Tag, 1)
        if article is not None and tag is not None:
            article.name = name
            (article.tags.remove if tag in article.tags else article.tags.append)(tag)


class Mistakes:
    """What is recorded wrongly, each on objects of its own, and how that shows."""

    def __init__(self, session):
        self.session = session

    def make_all(self):
        """Make every mistake; return what is wrong then."""
        kinds = [
            self.update_by_statement,
            self.delete_by_statement,
            self.insert_by_statement,
            self.put_back_by_statement,
            self.change_key,
            self.set_null_in_spite_of_default,
            self.change_class,
            self.lose_transaction,
        ]
        faults = []
        for kind in kinds:
            faults += kind()
            self.session.commit()
        return faults

    def keep(self, obj):
        """Write a new object, rightly, and return its key."""
        self.session.add(obj)
        self.session.commit()
        return obj.id

    def delete(self, cls, key):
        """Delete an object, rightly."""
        self.session.delete(self.session.get(cls, key))
        self.session.commit()

    def update_by_statement(self):
        """Change a row without its object."""
        key = self.keep(Tag(name="a"))
        self.session.execute(sa.update(Tag).where(Tag.id == key).values(name="b"))
        return [["different", "tag", [key]]]

    def delete_by_statement(self):
        """Delete a row, and the links that the database deletes with it."""
        tag = Tag(name="a")
        article = self.keep(Article(name="a", settings={}, tags=[tag]))
        key = tag.id
        self.session.execute(sa.delete(Tag).where(Tag.id == key))
        return [["missing delete", "tag", [key]], ["missing delete", "article_tag", [article, key]]]

    def insert_by_statement(self):
        """Add a row without an object."""
        price = {"country": "it", "product": 4, "amount": 1}
        self.session.execute(sa.insert(Price).values(price))
        return [["unrecorded", "price", ["it", 4]]]

    def put_back_by_statement(self):
        """Delete an object, and put its row back without it."""
        key = self.keep(Dog(name="a", breed="b"))
        self.delete(Dog, key)
        values = {"id": key, "name": "c", "kind": "dog"}
        self.session.execute(sa.insert(Animal.__table__).values(values))
        self.session.execute(sa.insert(Dog.__table__).values(id=key, breed="d"))
        return [["missing insert", table, [key]] for table in ("animal", "dog")]

    def change_key(self):
        """Change a primary key."""
        price = Price(country="it", product=1, amount=1)
        self.session.add(price)
        self.session.commit()
        price.product = 2
        return [["missing delete", "price", ["it", 1]]]

    def set_null_in_spite_of_default(self):
        """Set a column to NULL that has a default."""
        key = self.keep(Article(name="a", settings={}))
        self.session.get(Article, key).score = None
        return [["different", "article", [key]]]

    def change_class(self):
        """Use the key of a deleted object for one of another class."""
        key = self.keep(Dog(name="a"))
        self.delete(Dog, key)
        self.keep(Cat(id=key, name="b"))
        return [["closed", "dog", [key]]]

    def lose_transaction(self):
        """Roll back the savepoint in which a transaction began, and go on.

        SQLite would give the next one the same number, so this comes last.
        """
        key = self.keep(Tag(name="a"))
        savepoint = self.session.begin_nested()
        self.session.get(Tag, key).name = "b"
        self.session.flush()
        savepoint.rollback()
        self.session.add(Price(country="it", product=3, amount=1))
        return [["orphan", "price", ["it", 3]]]


def connect(url):
    """Return an engine; with SQLite, one that knows foreign keys and savepoints."""
    engine = sa.create_engine(url)
    if engine.dialect.name == "sqlite":

        @sa.event.listens_for(engine, "connect")
        def on_connect(connection, record):
            connection.isolation_level = None
            connection.execute("PRAGMA foreign_keys = ON")

        @sa.event.listens_for(engine, "begin")
        def on_begin(connection):
            connection.exec_driver_sql("BEGIN")

    return engine


def main(url, journal):
    """Do a hundred transactions; write what there was after each.  Then make mistakes."""
    engine = connect(url)
    Base.metadata.create_all(engine)
    told, read = {}, []
    with Session(engine) as session:
        users = [User(name="Ann"), User(name="Ben")]
        session.add_all(users)
        session.commit()
        program, number = Program(session), 0
        while len(told) < 100:
            number += 1
            program.step(number)
            session.flush()
            article = program.some(Article, 1) if number % 9 == 0 else None
            if article is not None:
                session.add(activities.activity_cls(verb="read", object=article, data=[number]))
                session.flush()
                read.append([number, article.id])
            transaction = versioning_manager.unit_of_work(session).current_transaction
            if transaction is not None:
                transaction.user = users[number % 2]
                transaction.remote_addr = "::1"
                key = transaction.id
            session.commit()
            if transaction is not None:
                told[key] = [users[number % 2].name, state_of(session)]
                session.commit()
        faults = Mistakes(session).make_all()
    engine.dispose()
    told = {"transactions": told, "activities": read, "faults": faults}
    Path(journal).write_text(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:3])
