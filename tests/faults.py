"""Faults that :mod:`tests.mutants` puts into the writer of history, one at a time.

Each replaces a piece of text that occurs exactly once in one file of the package, by what somebody
might have written by mistake.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FAULTS", "PACKAGE", "Fault"]

PACKAGE = "sqlalchemy_versioned"


@dataclass(frozen=True)
class Fault:
    """A mistake, and where to look for the test that notices it."""

    name: str
    #: Relative to the package.
    file: str
    old: str
    new: str
    #: What it breaks, in one sentence.
    breaks: str
    #: The tests that are run first; the others follow.
    look: tuple[str, ...]
    #: Where it shows; with several writers at a time it is no use to look on SQLite.
    database: str = "sqlite"


APPEND = "tests/scenarios/test_append.py"
GUARDS = "tests/triggers/test_guards.py"
MIXED = "tests/triggers/test_mixed_modes.py"
TRIGGERS = "tests/triggers/test_recording.py"
ASSOCIATION_TABLES = "tests/scenarios/test_association_tables.py"
BIND_STYLES = "tests/scenarios/test_bind_styles.py"
CASCADES = "tests/scenarios/test_cascades.py"
CHANGED_KEYS = "tests/scenarios/test_changed_keys.py"
CONTEXT = "tests/context/test_transaction_context.py"
CONTEXTS = "tests/context/test_transaction_values.py"
COMES_BACK = "tests/scenarios/test_storms.py::test_deletion_of_what_comes_back"
CORE_TABLES = "tests/scenarios/test_core_tables.py::test_columns_that_are_appended"
CONCURRENCY = "tests/scenarios/test_concurrency.py"
INHERITANCE = "tests/scenarios/test_inheritance.py"
FIRST_STATES = "tests/scenarios/test_statements.py::test_rows_with_a_history_keep_their_beginning"
KEY_FORMS = "tests/scenarios/test_key_forms.py"
LINKS = "tests/build/test_relationships.py"
MASKED_COLUMNS = "tests/scenarios/test_masked_columns.py"
PRUNING = "tests/maintenance/test_pruning.py"
RECORDING = "tests/recording/test_recording.py"
REQUESTS = "tests/plugins/test_asgi.py"
ROWS = "tests/query/test_rows.py"
SAVEPOINTS = "tests/scenarios/test_savepoints.py"
SEQUENCES = "tests/scenarios/test_operation_sequences.py"
STATEMENTS = "tests/scenarios/test_statements.py"
TEMPORAL = "tests/query/test_temporal.py"
TRACKING = "tests/capture/test_tracking.py"
UPSERTS = "tests/scenarios/test_statements.py::test_what_an_upsert_does_to_each_row"
UNIT = "tests/recording/test_unit_of_work.py"
VARIABLES = "tests/context/test_session_variables.py"
VERSION = "tests/reading/test_version.py"
WRITE_PATHS = "tests/scenarios/test_write_paths.py::test_first_states_are_kept"

FAULTS = [
    # -- recording ---------------------------------------------------------------------------
    Fault(
        "end-unwritten",
        "recording/recording.py",
        "work.closing += [key for part in image.fresh.values() for key in part] + image.given",
        "work.closing += image.given",
        "The version before a new one stays open.",
        (f"{TRACKING}::test_deleting_what_is_gone",),
    ),
    Fault(
        "end-of-departed-unwritten",
        "recording/recording.py",
        "            work.closing += work.departed\n",
        "",
        "The last version under a former key stays open.",
        (CHANGED_KEYS,),
    ),
    Fault(
        "doubtful-not-compared",
        "recording/recording.py",
        "work.image.checked = [key for key in updated if key in doubtful]",
        "work.image.checked = []",
        "Rows that were written with the values they had get a version.",
        (f"{TRACKING}::test_expression_that_changes_nothing",),
    ),
    Fault(
        "unchanged-noted",
        "recording/recording.py",
        "fresh[operation] = [key for key in keys if key in found]",
        "fresh[operation] = keys",
        "Rows that were found unchanged pass for recorded when they are changed later.",
        (f"{TRACKING}::test_expression_that_changes_nothing",),
    ),
    Fault(
        "absent-not-reported",
        "recording/recording.py",
        "            self.absent[spec] = gone\n",
        "            pass\n",
        "Rows that others add under a key while its deletion waits go without a version.",
        (COMES_BACK,),
        "embedded",
    ),
    Fault(
        "row-switch-missed",
        "recording/changes.py",
        "both = gone.union(self.replaced).intersection(self.inserted)",
        "both = gone.intersection(self.inserted)",
        "An object that takes over the row of a deleted one is recorded as new.",
        (f"{TRACKING}::test_row_switch",),
    ),
    Fault(
        "undone-kept",
        "recording/recording.py",
        "again = self._sorted[spec].image.again.get(Operation.UPDATE, [])",
        "again = list[Key]()",
        "A change that is undone in the same transaction leaves a version.",
        (f"{TRACKING}::test_change_that_is_undone",),
    ),
    Fault(
        "undone-in-one-table",
        "recording/recording.py",
        "self._remove(each, undone, tx)",
        "self._remove(spec, undone, tx)",
        "What is undone of an object of several tables leaves versions in all but one.",
        (f"{INHERITANCE}::test_what_is_undone_of_an_object_of_several_tables",),
    ),
    Fault(
        "not-reopened",
        "recording/recording.py",
        "        self._writers[spec].reopen(self.connection, keys, tx)\n",
        "",
        "The version before one that came to nothing stays ended.",
        (f"{TRACKING}::test_change_that_is_undone",),
    ),
    Fault(
        "removal-forgotten",
        "recording/recording.py",
        "        self._note(spec, keys, None)\n",
        "",
        "Rows of which the versions were removed pass for recorded.",
        (f"{TRACKING}::test_links_that_come_to_nothing",),
    ),
    Fault(
        "recurring-key-unclosed",
        "recording/recording.py",
        "            work.closing = list(keys)\n",
        "",
        "A deletion stays open when its key comes back in a flush of new rows.",
        (f"{TRACKING}::test_number_that_is_used_again",),
        "embedded",
    ),
    Fault(
        "vanished-marked",
        "recording/recording.py",
        "            elif after is None:\n                work.vanished.append(key)\n",
        "",
        "A row that came, was renamed and so left its key leaves a deletion there.",
        (CHANGED_KEYS,),
    ),
    Fault(
        "added-values-forgotten",
        "recording/recording.py",
        "merged[key] = {**earlier, **merged[key]}",
        "pass",
        "What plugins said in an earlier flush of the transaction is lost.",
        (RECORDING,),
    ),
    Fault(
        "wait-ignored",
        "recording/recording.py",
        "ended or (None if locks else 0)",
        "ended",
        "A deletion that waited for another transaction does not end that one's version.",
        (f"{CONCURRENCY}::test_deletion_that_waits",),
        "embedded",
    ),
    Fault(
        "never-overtaken",
        "recording/recording.py",
        "overtaken |= writer.is_overtaken(self.connection, work.closing, tx)",
        "overtaken |= False",
        "A transaction that drew its id first and writes last keeps it.",
        (f"{CONCURRENCY}::test_deletion_drawn_early",),
        "embedded",
    ),
    # -- operation ---------------------------------------------------------------------------
    Fault(
        "came-and-went",
        "model/operation.py",
        "return None if recorded is Operation.INSERT else Operation.DELETE",
        "return Operation.DELETE",
        "A row that comes and goes in one transaction leaves a deletion.",
        ("tests/model/test_operation.py",),
    ),
    Fault(
        "insert-then-update",
        "model/operation.py",
        "return Operation.INSERT if recorded is Operation.INSERT else Operation.UPDATE",
        "return new",
        "A row that is changed in the transaction of its insertion counts as changed.",
        ("tests/model/test_operation.py",),
    ),
    # -- writer ------------------------------------------------------------------------------
    Fault(
        "no-upsert",
        "recording/image.py",
        "replaces = bool(self.again) and can_replace",
        "replaces = False",
        "A second change of a row in one transaction meets its own version.",
        (f"{TRACKING}::test_value_mutated_twice",),
    ),
    Fault(
        "unchanged-among-changed",
        "recording/image.py",
        'condition = "changed" if everything else "listed"',
        'condition = "changed" if everything else ""',
        "Unchanged rows get versions when others were changed along with them.",
        (f"{STATEMENTS}::test_a_transaction_that_goes_on_after_a_refusal",),
    ),
    Fault(
        "ends-not-moved",
        "recording/writer.py",
        '            connection.execute(self._statement("move_ends"), '
        "{self._tx: tx, self._new: new})\n",
        "            pass\n",
        "Versions end at the number that a transaction had before.",
        (f"{CONCURRENCY}::test_what_hangs_on_a_renumbered_transaction",),
        "embedded",
    ),
    Fault(
        "no-look-for-unrecorded",
        "recording/looks.py",
        "return bool(is_lacking) or count > _MANY",
        "return count > _MANY",
        "Rows older than their history get no first state.",
        (f"{STATEMENTS}::test_the_first_state_can_be_reverted_to",),
    ),
    Fault(
        "other-forms-unfound",
        "recording/looks.py",
        "return unchanged + [key for key, form in forms.items() if form in others]",
        "return unchanged",
        "Rows that the database finds under another spelling of their key are taken for absent.",
        (f"{KEY_FORMS}::test_letter_case_of_links",),
    ),
    # -- statements --------------------------------------------------------------------------
    Fault(
        "deleted-unlocked",
        "recording/image_statements.py",
        "if shape.locks and parent.primary_key.columns:",
        "if False:",
        "Rows can be changed by others between their last image and their deletion.",
        (f"{CONCURRENCY}::test_row_is_locked_from_its_last_image_until_it_is_deleted",),
        "embedded",
    ),
    Fault(
        "new-rows-without-a-look",
        "recording/beginning_statements.py",
        ".image(shape, self._is_first())",
        ".image(shape)",
        "A row with the key of one that was deleted leaves its last version open.",
        (f"{TRACKING}::test_key_that_another_row_had",),
        "embedded",
    ),
    Fault(
        "ended-from-behind",
        "recording/closing_statements.py",
        "number == newest, number < drawing)",
        "number == newest, drawing > 0)",
        "A version ends before it begins, where numbers are behind the history.",
        (f"{TRACKING}::test_numbers_that_a_restore_has_reset",),
        "embedded",
    ),
    Fault(
        "other-tables-not-compared",
        "recording/table_statements.py",
        "for spec in self.related:",
        "for spec in ():",
        "A change in one table of an object makes no version in the others.",
        (f"{INHERITANCE}::test_expression_in_one_of_several_tables",),
    ),
    Fault(
        "other-tables-not-asked",
        "recording/looking_statements.py",
        "for other in self.related",
        "for other in ()",
        "An object passes for undone when only one of its tables is as it was.",
        (f"{INHERITANCE}::test_what_is_undone_of_an_object_of_several_tables",),
    ),
    Fault(
        "marked-as-update",
        "recording/statements.py",
        "= {self.spec.operation_column: Operation.DELETE}",
        "= {self.spec.operation_column: Operation.UPDATE}",
        "A row that leaves a key under which it was recorded before seems to be there still.",
        (SEQUENCES,),
    ),
    Fault(
        "deleted-alive",
        "recording/looking_statements.py",
        "            spec.operation_column != Operation.DELETE,\n",
        "",
        "An upsert of a row that was deleted before is recorded as a change.",
        (UPSERTS,),
    ),
    Fault(
        "left-as-update",
        "recording/image_statements.py",
        'spec.operation(Operation.DELETE).label("op_"),\n            *self._numbers(key),',
        'spec.operation(Operation.UPDATE).label("op_"),\n            *self._numbers(key),',
        "A row that has left its key seems to be there still.",
        (CHANGED_KEYS,),
    ),
    Fault(
        "first-state-again",
        "recording/image_statements.py",
        '.where(self._in("keys"), self._is_first())',
        '.where(self._in("keys"))',
        "Rows that have a history get a second beginning.",
        (FIRST_STATES,),
    ),
    # -- records -----------------------------------------------------------------------------
    Fault(
        "rollback-remembered",
        "recording/records.py",
        "if not top.is_released:",
        "if False:",
        "What was recorded in a savepoint counts after its rollback.",
        ("tests/recording/test_records.py", SAVEPOINTS),
    ),
    Fault(
        "release-forgotten",
        "recording/records.py",
        "            self.rows.setdefault(spec, {}).update(rows)\n",
        "            pass\n",
        "What was recorded in a savepoint is forgotten when it is released.",
        ("tests/recording/test_records.py", SAVEPOINTS),
    ),
    Fault(
        "oldest-layer-first",
        "recording/records.py",
        "            rows = layer.rows.get(spec)\n",
        "            rows = self.layers[0].rows.get(spec) or layer.rows.get(spec)\n",
        "What a savepoint says of a row is overruled by what was said before it.",
        ("tests/recording/test_records.py", SAVEPOINTS),
    ),
    Fault(
        "copies-not-handed-on",
        "recording/records.py",
        "        self.copies += released.copies\n",
        "",
        "A copied transaction passes for stored after the savepoints around it are rolled back.",
        (f"{RECORDING}::test_savepoint_around_the_first_write_of_a_database",),
    ),
    Fault(
        "former-id-not-handed-on",
        "recording/records.py",
        "            self.former_ids.setdefault(transaction, number)\n",
        "            pass\n",
        "A transaction keeps its later number when the savepoints around are rolled back.",
        (f"{CONCURRENCY}::test_renumbered_inside_a_savepoint_that_is_rolled_back",),
        "embedded",
    ),
    # -- unit of work ------------------------------------------------------------------------
    Fault(
        "no-second-database",
        "recording/unit_of_work.py",
        "                self._ensure_row_on(connection, spec.transaction_table)\n",
        "",
        "Versions in a second database refer to no transaction there.",
        (RECORDING, BIND_STYLES),
    ),
    Fault(
        "copy-remembered",
        "recording/unit_of_work.py",
        "            row.forget_copy(connection)\n",
        "            pass\n",
        "A transaction that was rolled back in a second database is not copied there again.",
        (f"{RECORDING}::test_savepoint_around_the_first_write_of_a_database",),
    ),
    Fault(
        "former-id-not-given-back",
        "recording/unit_of_work.py",
        "            row.rename(self._session, number)\n",
        "            pass\n",
        "After a rollback to a savepoint, versions are written under a number that is gone.",
        (f"{CONCURRENCY}::test_renumbered_inside_a_savepoint_that_is_rolled_back",),
        "embedded",
    ),
    Fault(
        "wanted-taken-back",
        "recording/unit_of_work.py",
        "if row is None or row.is_wanted or not",
        "if row is None or not",
        "A transaction that the application has asked for vanishes when nothing is left of it.",
        (UNIT,),
    ),
    Fault(
        "empty-kept",
        "recording/unit_of_work.py",
        "            self._take_back_if_empty()\n",
        "            pass\n",
        "Transactions remain of which nothing is left.",
        (UNIT,),
    ),
    Fault(
        "sharing-overlooked",
        "recording/unit_of_work.py",
        "return is_given or has_concurrent_writers(connection.dialect)",
        "return has_concurrent_writers(connection.dialect)",
        "Sessions that share one connection of SQLite overtake each other unnoticed.",
        (f"{TRACKING}::test_overtaken_on_a_shared_connection",),
    ),
    # -- transaction row ---------------------------------------------------------------------
    Fault(
        "references-left-behind",
        "recording/transaction_row.py",
        "        self._move_references(session, old, number)\n",
        "",
        "Rows that refer to a transaction lose it when it draws a later number.",
        (f"{TRACKING}::test_rows_of_an_overtaken_transaction",),
    ),
    Fault(
        "seen-taken-back",
        "recording/transaction_row.py",
        "        # Whoever has seen it may refer to it.\n        self.is_wanted = True\n",
        "",
        "A transaction that the application holds vanishes when nothing is left of it.",
        (UNIT,),
    ),
    Fault(
        "copy-of-what-was-given",
        "recording/transaction_row.py",
        "        stored = self._stored(self.id)\n        connection.execute(",
        "        stored = self._values\n        connection.execute(",
        "A second database gets a transaction without what was added to it since.",
        (f"{RECORDING}::test_second_database_gets_what_was_added",),
    ),
    # -- context -----------------------------------------------------------------------------
    Fault(
        "over-and-heard",
        "context/transaction_context.py",
        "        if not frame.is_over:\n            found.append(frame)",
        "        if True:\n            found.append(frame)",
        "Jobs that a request has started go on in its name.",
        (f"{CONTEXT}::test_a_job_after_the_request",),
    ),
    Fault(
        "said-in-a-task-of-anothers",
        "context/transaction_context.py",
        "    if life is not None and life.owner != _here():\n        life = None\n",
        "",
        "What a task says itself ends with the block that it was started in.",
        (f"{CONTEXT}::test_a_job_after_the_request",),
    ),
    Fault(
        "variables-that-savepoints-leave",
        "context/values.py",
        "    _tell(connection, lambda variables: variables.take(name))\n",
        "    _tell(connection, lambda variables: variables.release(name))\n",
        "What was said in a savepoint that is rolled back goes on.",
        (f"{VARIABLES}::test_they_go_with_what_is_rolled_back",),
    ),
    Fault(
        "appended-unnoticed",
        "manager/cores.py",
        "            self._check_columns(table)\n",
        "",
        "A column that was appended to a table without a class is not kept, and nobody is told.",
        (CORE_TABLES,),
    ),
    Fault(
        "missing-after-the-statement",
        "capture/capture.py",
        "        self._recorder.prepare(session, connection, spec)\n",
        "",
        "A statement that lacks what must be said has written its rows when it is refused.",
        (f"{CONTEXTS}::test_a_column_that_must_have_a_value",),
    ),
    Fault(
        "context-after-all-others",
        "context/transaction_values.py",
        "        if USER not in said and (user := ",
        "        if (user := ",
        "Whom the context names has not written it, if somebody else is logged in.",
        (f"{CONTEXTS}::test_order_of_who_knows",),
    ),
    Fault(
        "further-left-unwritten",
        "recording/unit_of_work.py",
        "            self._take_back_if_empty()\n        self._store_further()\n",
        "            self._take_back_if_empty()\n",
        "What plugins are to store of the context is lost.",
        (f"{CONTEXTS}::test_transaction_meta_takes_the_rest",),
    ),
    # -- requests ----------------------------------------------------------------------------
    Fault(
        "request-without-end",
        "context/request.py",
        "        self._request.is_over = True\n",
        "",
        "What a request has left behind goes on in the name of its user.",
        (f"{REQUESTS}::test_what_outlives_its_request",),
    ),
    Fault(
        "said-beyond-the-request",
        "context/request.py",
        "        self._said.__exit__(*details)\n",
        "",
        "What a request has set and not cleared is in force for the next one.",
        (f"{REQUESTS}::test_what_is_set_in_a_request_ends_with_it",),
    ),
    Fault(
        "proxies-unasked",
        "plugins/addresses.py",
        " and self._is_trusted(nearest):",
        ":",
        "A client can make up its address.",
        ("tests/plugins/test_addresses.py",),
    ),
    Fault(
        "looking-for-the-user-flushes",
        "recording/unit_of_work.py",
        "        with self._session.no_autoflush:\n            by_plugins",
        "        if True:\n            by_plugins",
        "Whoever looks for the user begins another transaction.",
        ("tests/plugins/test_flask.py::test_looking_for_the_user_flushes_nothing",),
    ),
    # -- tracking ----------------------------------------------------------------------------
    Fault(
        "deletion-without-first-state",
        "capture/flush_events.py",
        "            self._recorder.keep_first_state(connection, work.hierarchy, gone)\n",
        "",
        "A row older than its history is deleted without a trace of what it was.",
        (f"{STATEMENTS}::test_the_state_before_the_first_change_is_kept",),
    ),
    Fault(
        "paused-recorded",
        "capture/flush_events.py",
        "        if is_paused(flush.session):\n            return readers\n",
        "",
        "Flushes are recorded although recording is paused.",
        ("tests/scenarios/test_threads.py::test_pausing_in_one_thread_only",),
    ),
    Fault(
        "absent-deleted",
        "capture/flush_events.py",
        "            flush.absent.update(absent)\n",
        "",
        "A flush deletes rows that others have added under a key that was not there.",
        (COMES_BACK,),
        "embedded",
    ),
    Fault(
        "early-id-trusted",
        "capture/flush_events.py",
        "flush.is_early = unit.ensure_transaction(is_wanted=is_early) or is_early",
        "flush.is_early = not unit.ensure_transaction(is_wanted=is_early) and is_early",
        "A transaction of an earlier flush is not suspected of being overtaken.",
        (f"{CONCURRENCY}::test_transactions_drawn_early",),
        "embedded",
    ),
    Fault(
        "all-upserts-new",
        "capture/session_recorder.py",
        "return [k for k in keys if k not in there], [k for k in keys if k in there]",
        "return keys, []",
        "An upsert that changes a row is recorded as an insertion.",
        (UPSERTS,),
    ),
    Fault(
        "stale-versions",
        "capture/flush_events.py",
        "            for hierarchy, keys in flush.touched:\n"
        "                expire_versions(session, hierarchy, keys)\n",
        "",
        "Versions that a session has loaded do not learn that they have ended.",
        ("tests/reading/test_loaded.py", VERSION),
    ),
    Fault(
        "release-on-connection-forgotten",
        "capture/sessions.py",
        "            unit.released(connection.get_nested_transaction())\n",
        "",
        "On a connection without a session, a released savepoint counts as rolled back.",
        (f"{STATEMENTS}::test_an_engine_that_was_named_is_recorded",),
    ),
    # -- touched -----------------------------------------------------------------------------
    Fault(
        "ignored-counted",
        "capture/touched.py",
        "frozenset(k for k, column in columns.items() if column not in ignored)",
        "frozenset(columns)",
        "A change of nothing but ignored columns makes a version.",
        (f"{TRACKING}::test_ignored_column",),
    ),
    Fault(
        "expressions-overlooked",
        "capture/touched.py",
        "return state.modified and not self._telling.isdisjoint(state.expired_attributes)",
        "return False",
        "What is set to an SQL expression is not recorded.",
        (f"{TRACKING}::test_sql_expression_alone",),
    ),
    Fault(
        "own-changes-overlooked",
        "capture/touched.py",
        "if any(_changes_by_itself(mapper, columns[key]) for key in self._telling):",
        "if False:",
        "Columns that change along with excluded ones are not recorded.",
        (f"{TRACKING}::test_column_that_changes_by_itself",),
    ),
    Fault(
        "former-key-unrecorded",
        "capture/touched.py",
        "            changes.departed.append(before)\n",
        "",
        "A row whose key was changed seems to be there under both keys.",
        (f"{TRACKING}::test_changed_key",),
    ),
    Fault(
        "former-key-unfollowed",
        "capture/touched.py",
        "            changes.former[now] = before\n",
        "",
        "Rows that follow another key by ON UPDATE are not recorded.",
        (CASCADES,),
    ),
    # -- capture -----------------------------------------------------------------------------
    Fault(
        "upsert-of-the-same",
        "capture/inserting.py",
        "Changes(inserted=keys, updated=updated, doubtful=set(updated))",
        "Changes(inserted=keys, updated=updated)",
        "An upsert that changes nothing makes a version.",
        (UPSERTS,),
    ),
    Fault(
        "refused-deletion-recorded",
        "capture/capture.py",
        "if pending is None or is_lost or not can_go_on_after_errors(connection.dialect):",
        "if True:",
        "A deletion that the database refuses stays recorded.",
        (f"{STATEMENTS}::test_a_transaction_that_goes_on_after_a_refusal",),
    ),
    Fault(
        "moved-statement-departures",
        "capture/recorder.py",
        "departed=[key for key, now in moved.items() if key != now],",
        "departed=[],",
        "An UPDATE of keys leaves the rows in history under both keys.",
        (WRITE_PATHS,),
    ),
    Fault(
        "unrestricted-statement",
        "capture/changing.py",
        "pending.statement = write.restricted_to(list(pending.moved), dialect)",
        "pass",
        "A statement also writes rows that others have committed since it was looked into.",
        (COMES_BACK,),
        "embedded",
    ),
    # -- cascades ----------------------------------------------------------------------------
    Fault(
        "cascade-of-one-step",
        "capture/cascades.py",
        "                    waiting.append((edge.table, new))\n",
        "                    pass\n",
        "Rows that go along with rows that go along are not recorded.",
        (CASCADES,),
    ),
    Fault(
        "set-null-not-followed",
        "database/foreign_keys.py",
        'frozenset({"CASCADE", "SET NULL", "SET DEFAULT"})',
        'frozenset({"CASCADE", "SET DEFAULT"})',
        "ON DELETE SET NULL is taken for no action.",
        (CASCADES,),
    ),
    Fault(
        "unversioned-between",
        "capture/cascades.py",
        "while more := ",
        "if more := ",
        "Cascades over two tables without history do not reach those that have one.",
        (f"{CASCADES}::test_tables_without_history_in_between",),
    ),
    Fault(
        "first-state-behind-key-unkept",
        "capture/cascades.py",
        "return [self._specs[each] for each in tables if each in self._specs]",
        "return []",
        "Rows that ON UPDATE changes for the first time get no first state.",
        (f"{STATEMENTS}::test_the_state_before_the_first_change_is_kept",),
    ),
    # -- flushes -----------------------------------------------------------------------------
    Fault(
        "link-removal-unrecorded",
        "capture/flushes.py",
        "return Changes(given=gone) if self.spec.is_all_key else Changes(deleted=gone)",
        "return Changes()",
        "Links that are removed seem to stand for ever.",
        (f"{TRACKING}::test_link_over_several_transactions",),
    ),
    Fault(
        "link-move-half-recorded",
        "capture/flushes.py",
        "                departed=self._known(departed, connection, locks=True),\n",
        "",
        "A link that follows another key seems to stand under both.",
        (CHANGED_KEYS, ASSOCIATION_TABLES),
    ),
    # -- same rows, forms of keys ------------------------------------------------------------
    Fault(
        "spelling-not-followed",
        "recording/same_rows.py",
        "return {key: by_form[form] for key, form in stored.items() if form in by_form}",
        "return {}",
        "A key that changes in letter case only is recorded as another row.",
        (KEY_FORMS,),
    ),
    Fault(
        "recorded-form-unfound",
        "recording/same_rows.py",
        "return {key: known.get(form, form) for key, form in forms.items()} | known",
        "return forms",
        "A row that was loaded under another form of its key is recorded twice.",
        (KEY_FORMS,),
    ),
    Fault(
        "number-as-text",
        "database/key_forms.py",
        "return int(value) if isinstance(value, str) else value",
        "return value",
        "A number that was given as text is another key than the number.",
        (KEY_FORMS,),
    ),
    Fault(
        "collation-ignored",
        "database/key_forms.py",
        "return isinstance(type_, types.String) and tells_texts_apart(type_, dialect)",
        "return isinstance(type_, types.String)",
        "Keys are told apart by letter case where the database does not.",
        (KEY_FORMS,),
    ),
    # -- writes ------------------------------------------------------------------------------
    Fault(
        "assigned-key-ignored",
        "capture/writes.py",
        "if wanted is None or self.moves_keys or len(conditions) > len(wanted):",
        "if wanted is None or len(conditions) > len(wanted):",
        "An UPDATE by key that assigns another is recorded under the key that is gone.",
        (WRITE_PATHS,),
    ),
    Fault(
        "sets-not-alternatives",
        "capture/writes.py",
        "yield self._select([or_(*criteria)], moved, dialect), {}",
        "yield self._select(criteria, moved, dialect), {}",
        "Of a statement with several sets of parameters only rows that match all are recorded.",
        (WRITE_PATHS,),
    ),
    # -- what is read from history -----------------------------------------------------------
    Fault(
        "newest-not-before",
        "query/rows.py",
        "lambda rows: rows.c[number] < tx, locks=locks",
        "lambda rows: rows.c[number] <= tx, locks=locks",
        "A transaction ends its own versions.",
        (f"{TRACKING}::test_change_that_is_undone",),
    ),
    Fault(
        "not-yet-started",
        "query/rows.py",
        "started = rows.c[spec.transaction_column.key] <= at",
        "started = rows.c[spec.transaction_column.key] < at",
        "At the transaction of a change, the row is still as before.",
        (ROWS, TEMPORAL),
    ),
    Fault(
        "ignored-compared",
        "query/rows.py",
        "if p.parent not in keys and p.parent not in spec.ignored]",
        "if p.parent not in keys]",
        "Columns whose changes make no version are compared all the same.",
        (f"{TRACKING}::test_ignored_column",),
    ),
    Fault(
        "still-valid-at-the-end",
        "query/newest.py",
        "return or_(end.is_(None), end > at)",
        "return or_(end.is_(None), end >= at)",
        "At the transaction that ends a version, it still stands.",
        (ROWS, TEMPORAL),
    ),
    Fault(
        "least-for-greatest",
        "query/newest.py",
        "select(func.max(identifier))",
        "select(func.min(identifier))",
        "The first version of a row passes for its newest.",
        (f"{TRACKING}::test_number_that_is_used_again",),
    ),
    Fault(
        "moved-link-twice",
        "query/newest.py",
        "return primary or [pair.version for pair in spec.key]",
        "return [pair.version for pair in spec.key]",
        "A link with a number of its own stands at its former ends after it was moved.",
        (ROWS, ASSOCIATION_TABLES),
    ),
    # -- relationships of versions -----------------------------------------------------------
    Fault(
        "links-of-all-times",
        "build/links.py",
        "        self.conditions.append(is_link_alive(spec, rows, self._at))\n",
        "",
        "A version has all links that its row ever had.",
        (LINKS,),
    ),
    Fault(
        "removed-links-alive",
        "build/validity.py",
        "return and_(is_newest, is_begun, _is_no_deletion(spec, rows, mark))",
        "return and_(is_newest, is_begun)",
        "A version has links that were removed before it.",
        (LINKS,),
    ),
    Fault(
        "related-not-yet-started",
        "build/validity.py",
        "started = mark(rows.c[spec.transaction_column.key]) <= at",
        "started = mark(rows.c[spec.transaction_column.key]) < at",
        "A version does not see what came in its own transaction.",
        (LINKS,),
    ),
    # -- what is not told, and what is removed -----------------------------------------------
    Fault(
        "masked-changes-undone",
        "query/rows.py",
        "            *[own.c[pair.version.key] == false() for pair in spec.masked],\n",
        "",
        "A transaction that changes a masked column alone, in two flushes, is not recorded.",
        (f"{MASKED_COLUMNS}::test_changes_in_one_transaction",),
    ),
    Fault(
        "masked-changes-compared",
        "recording/recording.py",
        "doubtful = doubtful.difference(self._masked(spec, added))",
        "pass",
        "A statement that changes a masked column alone is not recorded.",
        (f"{MASKED_COLUMNS}::test_changes_by_statements",),
    ),
    Fault(
        "insertions-left-alone",
        "query/pruning.py",
        "    last = last.where(rows.c.operation_ != Operation.INSERT)\n",
        "",
        "A pruned history says that there was nothing where it was removed.",
        (f"{PRUNING}::test_objects_that_were_gone",),
    ),
    Fault(
        "pruned-unmarked",
        "maintenance/pruning.py",
        "        if any(counts):\n",
        "        if False:\n",
        "Connections that have found a history complete go on believing it.",
        (f"{PRUNING}::test_before",),
    ),
    Fault(
        "newest-redacted",
        "query/pruning.py",
        "                rows.next.is_not(None),\n",
        "                literal_column('1') == literal_column('1'),\n",
        "A version no longer says what its row is.",
        (f"{PRUNING}::test_redact",),
    ),
    Fault(
        "kept-rows-gone",
        "capture/flush_events.py",
        "        self._settle_deletions(flush)\n",
        "",
        "Rows that triggers keep from a flush are recorded as deleted.",
        (f"{APPEND}::test_deletion_that_is_refused",),
    ),
    Fault(
        "refused-sets-moved",
        "capture/changing.py",
        "        if not wrong:\n            most = number",
        "        most = number",
        "Rows that a refused set of parameters was to move are recorded as moved.",
        (f"{STATEMENTS}::test_what_has_followed_before_a_refusal",),
    ),
    Fault(
        "late-updates-unseen",
        "capture/flushes.py",
        "        return _sqlalchemy.has_post_updates(self.context, mapper)",
        "        return False",
        "Rows that post_update changes after others were deleted are not recorded.",
        (f"{TRACKING}::test_rows_that_are_updated_after_others_were_deleted",),
    ),
    Fault(
        "unchanged-event",
        "recording/appending.py",
        "[key for key in changes.updated if key not in self._unchanged]",
        "list(changes.updated)",
        "An update that leaves a row as it was is an event.",
        (f"{APPEND}::test_nothing_changed_is_nothing",),
    ),
    Fault(
        "event-that-was-refused",
        "recording/appending.py",
        "self._writers[spec].erase_deletions(self.connection, keys, tx)",
        "pass",
        "A row that could not be deleted is deleted and inserted.",
        (f"{APPEND}::test_deletion_that_is_refused",),
    ),
    Fault(
        "one-time-for-all",
        "recording/stamps.py",
        "divmod(_STARTED + time.monotonic_ns(), 1_000_000)",
        "divmod(_STARTED, 1_000_000)",
        "The UUIDs of events are in no order.",
        (f"{APPEND}::test_ids_can_be_uuids",),
    ),
    Fault(
        "events-of-one-place",
        "query/newest.py",
        "or_(strictly(transaction, bound), at_last(number[0], last[0])),",
        "strictly(transaction, bound),",
        "An event does not come after another of its transaction.",
        (f"{APPEND}::test_neighbours_within_a_transaction",),
    ),
    Fault(
        "told-repeatedly",
        "recording/appending.py",
        "        if self._records.knows(spec):\n            self._follow_records(spec, changes)\n",
        "",
        "A row that follows another by two foreign keys is inserted twice.",
        (f"{APPEND}::test_object_that_goes_along",),
    ),
    Fault(
        "rows-of-in-between",
        "triggers/fresh.py",
        "    AND NOT EXISTS (\n        SELECT FROM pg_constraint",
        "    AND EXISTS (\n        SELECT FROM pg_constraint",
        "What a row was between two changes of one statement is recorded.",
        (f"{TRIGGERS}::test_row_that_one_statement_changes_twice",),
        "embedded",
    ),
    Fault(
        "succeeded-by-itself",
        "triggers/one_row.py",
        "    WHERE {p_transaction} < versioned_tx AND {p_end} IS NULL",
        "    WHERE {p_end} IS NULL",
        "A row that a transaction changes twice, by statements of one row, is refused.",
        (f"{TRIGGERS}::test_nothing_is_left_of_what_was_undone",),
        "embedded",
    ),
    Fault(
        "guards-for-anybody",
        "triggers/guards.py",
        "        AND pg_has_role(\n",
        "        OR pg_has_role(\n",
        "Who was granted rights on history may change it where it is append-only.",
        (f"{GUARDS}::test_rights_on_history_are_not_enough",),
        "embedded",
    ),
    Fault(
        "upkeep-unended",
        "triggers/upkeep.py",
        "    connection.execute(build_upkeep(is_over=True))\n\n\n",
        "\n\n",
        "History that was looked after stays open to all of the transaction.",
        (f"{GUARDS}::test_what_looks_after_history_may_change_it",),
        "embedded",
    ),
    Fault(
        "used-rows-taken-back",
        "recording/triggered_row.py",
        "        if self._authority.scalar(select(or_(*used))):\n            return False\n",
        "",
        "A transaction that triggers have recorded is removed where sessions record nothing.",
        (f"{MIXED}::test_what_comes_to_nothing",),
        "embedded",
    ),
    Fault(
        "released-rows-untold",
        "recording/triggered_row.py",
        "        self._values = dict(self._said) if number is None else {key: number}\n",
        "        self._values = {} if number is None else {key: number}\n",
        "A transaction that is written again has lost what was said of it.",
        (f"{MIXED}::test_what_comes_to_nothing",),
        "embedded",
    ),
]
