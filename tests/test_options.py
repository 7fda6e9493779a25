"""Options are checked once, and say what is wrong."""

import pytest

from sqlalchemy_versioned import ImproperlyConfigured, UnknownOption
from sqlalchemy_versioned.options import Options, Strategy
from sqlalchemy_versioned.said_options import build_options, check_option_names


async def run_nothing():
    """Be awaited."""


def test_the_nearer_wins():
    """What a class says comes after what its manager says."""
    options = build_options({"strategy": "subquery", "ignore": ["a"]}, {"ignore": ["b"]}, owner="x")

    assert options.strategy is Strategy.SUBQUERY
    assert options.ignore == {"b"}


def test_defaults():
    """Nothing need be said."""
    assert build_options(owner="x") == Options()


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"strategy": "merge"}, "'merge'; choose one of 'validity', 'subquery', 'append'"),
        ({"strategy": None}, "choose one of"),
        ({"exclude": "name"}, r"'exclude' is 'name'; give a list .* \['name'\]"),
        ({"include": 3}, "give a list"),
        ({"ignore": b"name"}, "give a list"),
        ({"capture": "loud"}, "choose one of 'raise', 'warn', 'ignore'"),
        ({"table_name": "versions"}, "needs '%s'"),
        ({"table_name": "%s"}, "needs '%s'"),
        ({"table_name": "%s_%d"}, "needs '%s'"),
        ({"class_name": "Revision"}, "class_name is 'Revision'; it needs '%s'"),
        ({"class_name": "%s-Rev"}, "letters, digits or underscores"),
        ({"transaction_column_name": "operation_type"}, "give them different names"),
        ({"label": 3}, "label is 3; give the name"),
        ({"time_zone": "Mars/Olympus"}, "no time zone known here"),
        ({"time_zone": 1}, "no time zone known here"),
        ({"label": ""}, "label is ''; give the name"),
        ({"versioning": "no"}, "versioning is 'no'; give True or False"),
        ({"native": None}, "native_versioning is None; give True or False"),
        ({"base_classes": 3}, "base_classes is 3; give a tuple of classes"),
        ({"version_schema": 3}, "version_schema is 3; give a name, or None"),
        ({"transaction_column_name": None}, "transaction_column_name is None; give a name$"),
        ({"object_id_attribute": ["id"]}, "give a name, or None"),
        ({"session_factory": "sqlite://"}, "give a sessionmaker, or a function"),
        ({"session_factory": run_nothing}, "need not be awaited"),
    ],
)
def test_wrong_values(said, message):
    """The message says what was given and what can be."""
    with pytest.raises(ImproperlyConfigured, match=message):
        build_options(said, owner="Article.__versioned__")


def test_unknown_option():
    """It is refused with the known ones, those of plugins among them."""
    with pytest.raises(UnknownOption, match=r"no option 'x'; known options: .*color.*strategy"):
        check_option_names(["x"], owner="make_versioned()", also=["color"])


def test_unknown_option_is_a_key_error():
    """Programs that expect KeyError go on, and the sentence stays legible."""
    with pytest.raises(KeyError) as caught:
        check_option_names(["x"], owner="make_versioned()")

    assert str(caught.value).startswith("make_versioned() has no option 'x'")


def test_options_of_plugins():
    """What plugins read is kept apart."""
    options = build_options({"color": "red"}, owner="x", also=["color"])

    assert options.extra == {"color": "red"}


@pytest.mark.parametrize(
    ("said", "excluded"),
    [
        ({}, False),
        ({"exclude": ["a"]}, True),
        ({"exclude": ["a"], "include": ["a"]}, False),
        ({"exclude": ["b"], "include": ["b"]}, False),
        ({"include": ["b"]}, True),
    ],
)
def test_exclusion(said, excluded):
    """Including wins over excluding."""
    assert build_options(said, owner="x").is_excluded("a") is excluded
