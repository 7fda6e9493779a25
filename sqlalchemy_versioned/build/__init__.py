"""Version tables, version classes and the Transaction class, built when mappers are configured.

:mod:`.pipeline` is the only place that knows the order of the steps.
"""
