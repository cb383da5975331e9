#!/usr/bin/python3
"""psycopg 3: extended protocol, server-side prepared statements, libpq's pipeline mode. Connects as libpq's environment says."""

import os
import sys
import threading

import psycopg
from psycopg import errors
from steps import equal, main, refused, step

LARGE = 16 * 1024 * 1024


def connect(**more):
    return psycopg.connect("", autocommit=True, **more)


@step
def connects_with_its_password():
    with connect() as on:
        equal(on.execute("SELECT current_user, current_database()").fetchone(), (os.environ["PGUSER"], os.environ["PGDATABASE"]))
        equal(on.execute("SELECT pg_backend_pid()").fetchone()[0], on.info.backend_pid)
        equal(on.info.encoding, "utf-8")
    assert "password authentication failed" in str(refused(psycopg.OperationalError, lambda: connect(password="wrong")))


@step
def start_up_parameters_arrive():
    with connect(options="-c statement_timeout=12345 -c app.tenant=acme\\ ltd", application_name="näme") as on:
        equal(on.execute("SHOW statement_timeout").fetchone()[0], "12345ms")
        equal(on.execute("SELECT current_setting('app.tenant')").fetchone()[0], "acme ltd")
        equal(on.info.parameter_status("application_name"), on.execute("SHOW application_name").fetchone()[0])
        on.execute("SET application_name = 'another'")
        equal(on.info.parameter_status("application_name"), "another")
    error = refused(psycopg.OperationalError, lambda: connect(options="-c no_such_setting=1"))
    assert 'unrecognized configuration parameter "no_such_setting"' in str(error), error


@step
def prepared_statements():
    with connect(prepare_threshold=0) as on:
        for number in range(200):
            equal(on.execute("SELECT %s::int + 1, %s::text", (number, "x" * number)).fetchone(), (number + 1, "x" * number))
        named = on.execute("SELECT count(*) FROM pg_prepared_statements WHERE NOT from_sql").fetchone()[0]
        assert named >= 1, named
        on.execute("PREPARE doubled (int) AS SELECT $1 * 2")
        equal(on.execute("EXECUTE doubled(21)").fetchone(), (42,))
        on.execute("DEALLOCATE doubled")
        refused(errors.InvalidSqlStatementName, lambda: on.execute("EXECUTE doubled(21)"))
        # A statement that is refused leaves no name behind.
        refused(errors.UndefinedTable, lambda: on.execute("SELECT %s::int FROM nowhere", (1,)))
        equal(on.execute("SELECT %s::int", (5,)).fetchone(), (5,))


@step
def pipelines():
    with connect() as on:
        on.execute("CREATE TEMP TABLE piped (id int PRIMARY KEY)")
        with on.pipeline():
            cursors = [on.execute("INSERT INTO piped VALUES (%s) RETURNING id * 10", (number,)) for number in range(500)]
            equal([cursor.fetchone()[0] for cursor in cursors], [number * 10 for number in range(500)])
        # An error in the middle aborts what was sent up to the synchronisation, and nothing after it.
        # Where it is raised depends on when the answer comes; what has been sent by then is skipped by the server.
        refused((errors.UniqueViolation, errors.PipelineAborted), lambda: fails_in_the_middle(on))
        on.execute("INSERT INTO piped VALUES (1003)")
        equal(on.execute("SELECT array_agg(id) FROM piped WHERE id >= 1000").fetchone()[0], [1000, 1003])


def fails_in_the_middle(on):
    with on.pipeline() as pipeline:
        on.execute("INSERT INTO piped VALUES (1000)")
        pipeline.sync()
        for number in (1001, 1000, 1002):
            on.execute("INSERT INTO piped VALUES (%s)", (number,))


@step
def a_transaction_with_an_error_in_the_middle():
    with connect() as on:
        on.execute("CREATE TEMP TABLE kept (id int)")
        on.execute("BEGIN")
        on.execute("INSERT INTO kept VALUES (1)")
        refused(errors.DivisionByZero, lambda: on.execute("SELECT 1 / 0"))
        equal(on.info.transaction_status, psycopg.pq.TransactionStatus.INERROR)
        refused(errors.InFailedSqlTransaction, lambda: on.execute("SELECT 1"))
        equal(on.execute("COMMIT").statusmessage, "ROLLBACK")
        with on.transaction():
            on.execute("INSERT INTO kept VALUES (2)")
            refused(errors.DivisionByZero, lambda: nested(on))
            on.execute("INSERT INTO kept VALUES (3)")
        equal(on.execute("SELECT id FROM kept ORDER BY id").fetchall(), [(2,), (3,)])
        equal(on.info.transaction_status, psycopg.pq.TransactionStatus.IDLE)


def nested(on):
    with on.transaction():
        on.execute("INSERT INTO kept VALUES (99)")
        on.execute("SELECT 1 / 0")


@step
def copy_in_and_out():
    with connect() as on:
        on.execute("CREATE TEMP TABLE copied (id int, body text)")
        with on.cursor() as cursor:
            with cursor.copy("COPY copied FROM STDIN") as copy:
                for number in range(20000):
                    copy.write_row((number, f"row\t{number}\n"))
            equal(cursor.rowcount, 20000)
            with cursor.copy("COPY (SELECT * FROM copied ORDER BY id) TO STDOUT") as copy:
                copy.set_types(["int4", "text"])
                equal(list(copy.rows()), [(number, f"row\t{number}\n") for number in range(20000)])
            with cursor.copy("COPY copied TO STDOUT (FORMAT binary)") as copy:
                equal(sum(len(block) for block in copy) > 20000, True)
            refused(errors.InvalidTextRepresentation, lambda: copy_badly(cursor))
            refused(errors.QueryCanceled, lambda: copy_half(cursor))
        equal(on.execute("SELECT count(*) FROM copied").fetchone(), (20000,))


def copy_badly(cursor):
    with cursor.copy("COPY copied FROM STDIN") as copy:
        for number in range(50000):
            copy.write(f"{'bad' if number == 10 else number}\tx\n")


def copy_half(cursor):
    with cursor.copy("COPY copied FROM STDIN") as copy:
        copy.write("1\tx\n")
        raise RuntimeError("the application gave up")


@step
def a_running_query_is_cancelled():
    with connect() as on, connect() as other:
        started = threading.Event()

        def cancel():
            started.wait()
            while other.execute("SELECT wait_event FROM pg_stat_activity WHERE pid = %s", (on.info.backend_pid,)).fetchone() != ("PgSleep",):
                pass
            on.cancel()
        canceller = threading.Thread(target=cancel)
        canceller.start()
        started.set()
        refused(errors.QueryCanceled, lambda: on.execute("SELECT pg_sleep(60)"))
        canceller.join()
        equal(on.execute("SELECT 1").fetchone(), (1,))


@step
def notifications():
    with connect() as listener, connect() as sender:
        listener.execute("LISTEN news")
        sender.execute("SELECT pg_notify('news', 'first')")
        sender.execute("NOTIFY news, 'second'")
        heard = listener.notifies()
        for payload in ("first", "second"):
            told = next(heard)
            equal((told.channel, told.payload, told.pid), ("news", payload, sender.info.backend_pid))
        heard.close()
        own = []
        listener.add_notify_handler(lambda told: own.append((told.payload, told.pid)))
        listener.execute("NOTIFY news, 'own'")
        equal(own, [("own", listener.info.backend_pid)])


@step
def large_values():
    with connect() as on:
        text, binary = "ä" * (LARGE // 2), bytes(range(256)) * (LARGE // 256)
        got = on.execute("SELECT %s::text, octet_length(%s::text)", (text, text)).fetchone()
        equal((got[0] == text, got[1]), (True, LARGE))
        cursor = on.cursor(binary=True)
        got = cursor.execute("SELECT %b::bytea, octet_length(%b::bytea)", (binary, binary)).fetchone()
        equal((got[0] == binary, got[1]), (True, LARGE))


@step
def errors_are_whole():
    with connect() as on:
        on.execute("CREATE TEMP TABLE strict (id int CONSTRAINT strict_key PRIMARY KEY, age int CONSTRAINT grown CHECK (age > 17))")
        on.execute("INSERT INTO strict VALUES (1, 18)")
        diag = refused(errors.UniqueViolation, lambda: on.execute("INSERT INTO strict VALUES (1, 20)")).diag
        equal((diag.sqlstate, diag.severity, diag.table_name, diag.constraint_name, diag.message_detail),
              ("23505", "ERROR", "strict", "strict_key", "Key (id)=(1) already exists."))
        equal(refused(errors.CheckViolation, lambda: on.execute("INSERT INTO strict VALUES (2, 3)")).diag.constraint_name, "grown")
        equal(refused(errors.SyntaxError, lambda: on.execute("SELECT 1 +")).diag.statement_position, "11")
        equal(refused(errors.UndefinedColumn, lambda: on.execute("SELECT age, agee FROM strict")).diag.statement_position, "13")
        diag = refused(errors.RaiseException, lambda: on.execute(
            "DO $$ BEGIN RAISE EXCEPTION 'own %', 'error' USING DETAIL = 'the detail', HINT = 'the hint'; END $$")).diag
        equal((diag.message_primary, diag.message_detail, diag.message_hint), ("own error", "the detail", "the hint"))
        assert "PL/pgSQL function inline_code_block" in diag.context, diag.context
        equal(refused(psycopg.Error, lambda: on.execute("DO $$ BEGIN RAISE SQLSTATE 'ZZ123'; END $$")).sqlstate, "ZZ123")


@step
def notices():
    with connect() as on:
        heard = []
        on.add_notice_handler(lambda notice: heard.append((notice.severity, notice.message_primary)))
        on.execute("DO $$ BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two'; RAISE INFO 'three'; END $$")
        equal(heard, [("NOTICE", "one"), ("WARNING", "two"), ("INFO", "three")])


@step
def cursors_fetch_in_portions():
    with connect() as on, on.transaction():
        with on.cursor(name="steady") as cursor:
            cursor.itersize = 100
            cursor.execute("SELECT generate_series(1, 1050)")
            equal([row[0] for row in cursor], list(range(1, 1051)))
        with on.cursor(name="there and back", scrollable=True) as cursor:
            cursor.execute("SELECT generate_series(1, 10)")
            cursor.scroll(8)
            equal(cursor.fetchone(), (9,))
            cursor.scroll(-5)
            equal(cursor.fetchmany(2), [(5,), (6,)])


@step
def several_statements_in_one_message():
    with connect() as on:
        cursor = on.execute("SELECT 1; SELECT 'two'; ; CREATE TEMP TABLE third (id int); INSERT INTO third VALUES (3) RETURNING id")
        results = [cursor.statusmessage]
        while cursor.nextset():
            results.append(cursor.statusmessage)
        equal(results, ["SELECT 1", "SELECT 1", "CREATE TABLE", "INSERT 0 1"])
        refused(errors.DivisionByZero, lambda: on.execute("INSERT INTO third VALUES (4); SELECT 1 / 0; INSERT INTO third VALUES (5)"))
        equal(on.execute("SELECT id FROM third").fetchall(), [(3,)])


@step
def sessions_end_on_both_sides():
    with connect() as watcher:
        ended = connect()
        pid = ended.info.backend_pid
        ended.close()
        gone = "SELECT 1 FROM pg_stat_activity WHERE pid = %s"
        for _ in range(10000):
            if watcher.execute(gone, (pid,)).fetchone() is None:
                break
        else:
            raise AssertionError("the closed session's backend is still there")
        killed = connect()
        watcher.execute("SELECT pg_terminate_backend(%s, 10000)", (killed.info.backend_pid,))
        error = refused(psycopg.OperationalError, lambda: killed.execute("SELECT 1"))
        assert "terminating connection due to administrator command" in str(error), error


sys.exit(main())
