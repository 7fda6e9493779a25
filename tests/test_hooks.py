"""The contract of plugins."""

import pytest

from sqlalchemy_versioned import ImproperlyConfigured, InvalidArgumentType, Plugin, PluginCollection
from sqlalchemy_versioned.hooks import HOOKS
from sqlalchemy_versioned.plugins import (
    ActivityPlugin,
    FlaskPlugin,
    TransactionMetaPlugin,
    WSGIMiddleware,
)


class Quiet(Plugin):
    """Does nothing of its own."""


class Arguing(Plugin):
    """Answers one hook."""

    def transaction_args(self, uow, session):
        """Return something."""
        return {"remote_addr": "::1"}


def test_every_hook_does_nothing_by_default():
    """A plugin overrides what it needs."""
    assert PluginCollection([Quiet()]).call("transaction_args", None, None) == []
    assert Quiet().transaction_args(None, None) == {}


def test_hooks_are_called_in_order():
    """Only plugins that have the hook are called, and each answer is returned."""
    plugins = PluginCollection([Arguing(), Quiet(), Arguing()])

    assert len(plugins.call("transaction_args", None, None)) == 2


@pytest.mark.parametrize("name", ["before_flsh", "after_build_model", "transaction_arg", "after_x"])
def test_misspelt_hook(name):
    """It would never be called, so it is refused, with the hooks there are."""
    plugin = type("Wrong", (Plugin,), {name: lambda self: None})()

    with pytest.raises(ImproperlyConfigured, match=f"Wrong.{name} is no hook; hooks are after_"):
        PluginCollection([plugin])


def test_own_methods():
    """A plugin may have methods of its own, and say so if they look like hooks."""

    class Busy(Plugin):
        helpers = ("after_lunch",)

        def after_lunch(self):
            """Not a hook."""

        def describe(self):
            """Not like a hook."""

    assert len(PluginCollection([Busy()])) == 1


@pytest.mark.parametrize(
    ("build", "wrong", "name"),
    [
        (TransactionMetaPlugin, 5, "table_name"),
        (TransactionMetaPlugin, "", "table_name"),
        (lambda wrong: ActivityPlugin(key_type=wrong), "text", "key_type"),
        (lambda wrong: FlaskPlugin(remote_addr_factory=wrong), "x", "remote_addr_factory"),
        (WSGIMiddleware, "application", "app"),
    ],
)
def test_what_plugins_cannot_use(build, wrong, name):
    """They say so when they are made, not when mappers are configured or something is written."""
    with pytest.raises((ImproperlyConfigured, InvalidArgumentType), match=rf"{name} .*{wrong!r}"):
        build(wrong)


@pytest.mark.parametrize("wrong", [Quiet, "Quiet", None])
def test_only_plugins_are_registered(wrong):
    """A class in place of an instance is a common mistake."""
    with pytest.raises(ImproperlyConfigured, match="is no plugin; give an instance"):
        PluginCollection([wrong])


def test_plugins_are_given_as_a_list():
    """One plugin in the place of several is a mistake as common."""
    with pytest.raises(ImproperlyConfigured, match="give a list of plugins"):
        PluginCollection().add(Plugin())


def test_collection():
    """It is a list that checks what it is given, and can be made of another."""
    one, two = Quiet(), Arguing()
    plugins = PluginCollection(PluginCollection([one]))
    plugins.append(two)
    plugins[0] = two
    del plugins[1]

    assert (list(plugins), len(plugins), plugins[0]) == ([two], 1, two)
    assert repr(plugins) == f"<PluginCollection [{two!r}]>"
    with pytest.raises(ImproperlyConfigured):
        plugins[0] = Quiet


def test_adding_again():
    """A plugin of a class that is there already is taken for the same."""
    one, two = Quiet(), Quiet()
    plugins = PluginCollection([one])
    plugins.add([two, Arguing()])

    assert [type(each) for each in plugins] == [Quiet, Arguing]
    assert plugins[0] is one


def test_option_names():
    """What plugins announce may be said to make_versioned()."""

    class Coloured(Plugin):
        option_names = ("color",)

    assert PluginCollection([Coloured(), Quiet()]).option_names == {"color"}


def test_hooks_are_documented():
    """Each hook says when it runs."""
    assert all(getattr(Plugin, name).__doc__ for name in HOOKS)
