#!/usr/bin/python3
"""psycopg2: the simple protocol alone, with SQL's own PREPARE. Connects as libpq's environment says."""

import io
import os
import select
import sys
import threading

import psycopg2
import psycopg2.extensions
from psycopg2 import errors
from steps import equal, main, refused, step

LARGE = 16 * 1024 * 1024


def connect(autocommit=True, **more):
    on = psycopg2.connect("", **more)
    on.autocommit = autocommit
    return on


def ask(on, sql, parameters=None):
    with on.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall() if cursor.description else cursor.statusmessage


@step
def connects_with_its_password():
    on = connect()
    equal(ask(on, "SELECT current_user::text, current_database()::text"), [(os.environ["PGUSER"], os.environ["PGDATABASE"])])
    equal(ask(on, "SELECT pg_backend_pid()"), [(on.info.backend_pid,)])
    assert "password authentication failed" in str(refused(psycopg2.OperationalError, lambda: connect(password="wrong")))


@step
def start_up_parameters_arrive():
    on = connect(options="-c statement_timeout=12345 -c app.tenant=acme\\ ltd", application_name="shop")
    equal(ask(on, "SELECT current_setting('statement_timeout'), current_setting('app.tenant')"), [("12345ms", "acme ltd")])
    equal(on.info.parameter_status("application_name"), "shop")
    ask(on, "SET application_name = 'another'")
    equal(on.info.parameter_status("application_name"), "another")


@step
def prepared_statements():
    on = connect()
    ask(on, "PREPARE doubled (int) AS SELECT $1 * 2")
    for number in range(200):
        equal(ask(on, "EXECUTE doubled(%s)", (number,)), [(number * 2,)])
    ask(on, "DEALLOCATE doubled")
    refused(errors.InvalidSqlStatementName, lambda: ask(on, "EXECUTE doubled(1)"))


@step
def batches():
    on = connect()
    ask(on, "CREATE TEMP TABLE batched (id int PRIMARY KEY)")
    ask(on, ";".join(f"INSERT INTO batched VALUES ({number})" for number in range(500)))
    equal(ask(on, "SELECT count(*) FROM batched"), [(500,)])
    refused(errors.UniqueViolation,
            lambda: ask(on, "INSERT INTO batched VALUES (1000); INSERT INTO batched VALUES (1); INSERT INTO batched VALUES (1001)"))
    equal(ask(on, "SELECT count(*) FROM batched"), [(500,)])


@step
def a_transaction_with_an_error_in_the_middle():
    on = connect(autocommit=False)
    ask(on, "CREATE TEMP TABLE kept (id int)")
    on.commit()
    ask(on, "INSERT INTO kept VALUES (1)")
    refused(errors.DivisionByZero, lambda: ask(on, "SELECT 1 / 0"))
    equal(on.info.transaction_status, psycopg2.extensions.TRANSACTION_STATUS_INERROR)
    refused(errors.InFailedSqlTransaction, lambda: ask(on, "SELECT 1"))
    on.rollback()
    ask(on, "INSERT INTO kept VALUES (2); SAVEPOINT here; INSERT INTO kept VALUES (99)")
    refused(errors.DivisionByZero, lambda: ask(on, "SELECT 1 / 0"))
    ask(on, "ROLLBACK TO here; INSERT INTO kept VALUES (3)")
    on.commit()
    equal(ask(on, "SELECT id FROM kept ORDER BY id"), [(2,), (3,)])


@step
def copy_in_and_out():
    on = connect()
    ask(on, "CREATE TEMP TABLE copied (id int, body text)")
    rows = "".join(f"{number}\trow {number}\n" for number in range(20000))
    with on.cursor() as cursor:
        cursor.copy_expert("COPY copied FROM STDIN", io.StringIO(rows))
        equal(cursor.rowcount, 20000)
        out = io.StringIO()
        cursor.copy_expert("COPY (SELECT * FROM copied ORDER BY id) TO STDOUT", out)
        equal(out.getvalue() == rows, True)
        refused(errors.InvalidTextRepresentation,
                lambda: cursor.copy_expert("COPY copied FROM STDIN", io.StringIO("bad\tx\n" + rows)))
    equal(ask(on, "SELECT count(*) FROM copied"), [(20000,)])


@step
def a_running_query_is_cancelled():
    on, other = connect(), connect()

    def cancel():
        while ask(other, "SELECT wait_event FROM pg_stat_activity WHERE pid = %s", (on.info.backend_pid,)) != [("PgSleep",)]:
            pass
        on.cancel()
    canceller = threading.Thread(target=cancel)
    canceller.start()
    refused(errors.QueryCanceled, lambda: ask(on, "SELECT pg_sleep(60)"))
    canceller.join()
    equal(ask(on, "SELECT 1"), [(1,)])


@step
def notifications():
    listener, sender = connect(), connect()
    ask(listener, "LISTEN news")
    ask(sender, "SELECT pg_notify('news', 'first')")
    while not listener.notifies:
        equal(select.select([listener], [], [], 20)[0], [listener])
        listener.poll()
    told = listener.notifies.pop()
    equal((told.channel, told.payload, told.pid), ("news", "first", sender.info.backend_pid))


@step
def large_values():
    on = connect()
    text, binary = "ä" * (LARGE // 2), bytes(range(256)) * (LARGE // 256)
    got = ask(on, "SELECT %s::text", (text,))[0][0]
    equal(got == text, True)
    got = ask(on, "SELECT %s::bytea", (binary,))[0][0]
    equal(bytes(got) == binary, True)


@step
def large_objects():
    on = connect(autocommit=False)
    made = on.lobject(mode="wb")
    made.write(b"by function call" * 10000)
    made.seek(0)
    number = made.oid
    made.close()
    equal(on.lobject(number, mode="rb").read() == b"by function call" * 10000, True)
    on.lobject(number).unlink()
    on.commit()


@step
def errors_are_whole():
    on = connect()
    ask(on, "CREATE TEMP TABLE strict (id int CONSTRAINT strict_key PRIMARY KEY); INSERT INTO strict VALUES (1)")
    diag = refused(errors.UniqueViolation, lambda: ask(on, "INSERT INTO strict VALUES (1)")).diag
    equal((diag.sqlstate, diag.severity, diag.table_name, diag.constraint_name, diag.message_detail),
          ("23505", "ERROR", "strict", "strict_key", "Key (id)=(1) already exists."))
    equal(refused(errors.UndefinedColumn, lambda: ask(on, "SELECT id, idd FROM strict")).diag.statement_position, "12")
    diag = refused(errors.RaiseException, lambda: ask(
        on, "DO $$ BEGIN RAISE EXCEPTION 'own' USING DETAIL = 'the detail', HINT = 'the hint'; END $$")).diag
    equal((diag.message_primary, diag.message_detail, diag.message_hint), ("own", "the detail", "the hint"))


@step
def notices():
    on = connect()
    ask(on, "DO $$ BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two'; END $$")
    equal(on.notices, ["NOTICE:  one\n", "WARNING:  two\n"])


@step
def cursors_fetch_in_portions():
    on = connect(autocommit=False)
    with on.cursor("steady") as cursor:
        cursor.itersize = 100
        cursor.execute("SELECT generate_series(1, 1050)")
        equal([row[0] for row in cursor], list(range(1, 1051)))


@step
def sessions_end_on_both_sides():
    watcher, ended, killed = connect(), connect(), connect()
    pid = ended.info.backend_pid
    ended.close()
    for _ in range(10000):
        if not ask(watcher, "SELECT 1 FROM pg_stat_activity WHERE pid = %s", (pid,)):
            break
    else:
        raise AssertionError("the closed session's backend is still there")
    ask(watcher, "SELECT pg_terminate_backend(%s, 10000)", (killed.info.backend_pid,))
    refused(psycopg2.OperationalError, lambda: ask(killed, "SELECT 1"))


sys.exit(main())
