#!/usr/bin/python3
"""asyncpg: a protocol of its own, binary, with prepared statements everywhere. Connects as libpq's environment says."""

import asyncio
import os
import sys

import asyncpg
from steps import equal, main, step

LARGE = 16 * 1024 * 1024


async def connect(**more):
    # What asyncpg doesn't read of the environment by itself in its older versions.
    return await asyncpg.connect(ssl=tls(), timeout=20, command_timeout=60, **more)


def tls():
    import ssl
    mode = os.environ.get("PGSSLMODE", "disable")
    if mode == "disable":
        return False
    context = ssl.create_default_context(cafile=os.environ.get("PGSSLROOTCERT"))
    context.check_hostname = mode == "verify-full"
    if mode not in ("verify-ca", "verify-full"):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if os.environ.get("PGSSLCERT"):
        context.load_cert_chain(os.environ["PGSSLCERT"], os.environ["PGSSLKEY"])
    return context


async def refused(kind, awaitable):
    try:
        await awaitable
    except kind as error:
        return error
    raise AssertionError(f"{kind} was expected")


@step
async def connects_with_its_password():
    on = await connect()
    equal(tuple(await on.fetchrow("SELECT current_user::text, current_database()::text")),
          (os.environ["PGUSER"], os.environ["PGDATABASE"]))
    equal(await on.fetchval("SELECT pg_backend_pid()"), on.get_server_pid())
    await on.close()
    equal((await refused(asyncpg.InvalidPasswordError, connect(password="wrong"))).sqlstate, "28P01")


@step
async def start_up_parameters_arrive():
    on = await connect(server_settings={"statement_timeout": "12345", "app.tenant": "acme ltd", "application_name": "shop",
                                        "options": "-c lock_timeout=54321"})
    equal([await on.fetchval("SELECT current_setting($1)", name)
           for name in ("statement_timeout", "app.tenant", "application_name", "lock_timeout")],
          ["12345ms", "acme ltd", "shop", "54321ms"])
    await on.execute("SET TimeZone = 'Asia/Tokyo'")
    equal(on.get_settings().TimeZone, "Asia/Tokyo")
    await on.close()


@step
async def prepared_statements():
    on = await connect()
    doubled = await on.prepare("SELECT $1::int * 2, $2::text")
    for number in range(200):
        equal(tuple(await doubled.fetchrow(number, "x" * number)), (number * 2, "x" * number))
    equal([attribute.type.name for attribute in doubled.get_attributes()], ["int4", "text"])
    # More statements than the driver's cache holds: it closes the oldest.
    for number in range(150):
        equal(await on.fetchval(f"SELECT $1::int + {number}", 1), number + 1)
    equal(await on.fetchval("SELECT count(*) <= 102 FROM pg_prepared_statements"), True)
    # A plan that goes stale is an error that the driver knows by its code, and mends.
    await on.execute("CREATE TEMP TABLE changing (a int); INSERT INTO changing VALUES (1)")
    equal(tuple(await on.fetchrow("SELECT * FROM changing")), (1,))
    await on.execute("ALTER TABLE changing ADD b text DEFAULT 'b'")
    equal(tuple(await on.fetchrow("SELECT * FROM changing")), (1, "b"))
    await on.close()


@step
async def batches():
    on = await connect()
    await on.execute("CREATE TEMP TABLE batched (id int PRIMARY KEY, body text)")
    await on.executemany("INSERT INTO batched VALUES ($1, $2)", [(number, "x" * 100) for number in range(5000)])
    equal(await on.fetchval("SELECT count(*) FROM batched"), 5000)
    bad = [(number, None) for number in (10000, 10001, 1, 10002)]
    await refused(asyncpg.UniqueViolationError, on.executemany("INSERT INTO batched VALUES ($1, $2)", bad))
    equal(await on.fetchval("SELECT count(*) FROM batched"), 5000)
    await on.close()


@step
async def a_transaction_with_an_error_in_the_middle():
    on = await connect()
    await on.execute("CREATE TEMP TABLE kept (id int)")
    await on.execute("BEGIN; INSERT INTO kept VALUES (1)")
    await refused(asyncpg.DivisionByZeroError, on.fetchval("SELECT 1 / $1::int", 0))
    await refused(asyncpg.InFailedSQLTransactionError, on.fetchval("SELECT 1"))
    equal(await on.execute("COMMIT"), "ROLLBACK")
    async with on.transaction():
        await on.execute("INSERT INTO kept VALUES (2)")
        await refused(asyncpg.DivisionByZeroError, nested(on))
        await on.execute("INSERT INTO kept VALUES (3)")
    equal([row["id"] for row in await on.fetch("SELECT id FROM kept ORDER BY id")], [2, 3])
    await on.close()


async def nested(on):
    async with on.transaction():
        await on.execute("INSERT INTO kept VALUES (99)")
        await on.fetchval("SELECT 1 / 0")


@step
async def copy_in_and_out():
    on = await connect()
    await on.execute("CREATE TEMP TABLE copied (id int, body text)")
    rows = [(number, f"row\t{number}\n") for number in range(20000)]
    equal(await on.copy_records_to_table("copied", records=rows), "COPY 20000")
    equal([tuple(row) for row in await on.fetch("SELECT * FROM copied ORDER BY id")] == rows, True)
    blocks = []

    async def take(block):
        blocks.append(block)
    equal(await on.copy_from_query("SELECT id FROM copied ORDER BY id", output=take), "COPY 20000")
    equal(b"".join(blocks), b"".join(b"%d\n" % number for number in range(20000)))
    await refused(asyncpg.BadCopyFileFormatError, on.copy_to_table("copied", source=lines(b"1\n" * 50000)))

    async def gives_up():
        yield b"1\tx\n"
        raise RuntimeError("the application gave up")
    await refused(RuntimeError, on.copy_to_table("copied", source=gives_up()))
    equal(await on.fetchval("SELECT count(*) FROM copied"), 20000)
    await on.close()


async def lines(text):
    for start in range(0, len(text), 8192):
        yield text[start:start + 8192]


async def until(ask, expected):
    for _ in range(20000):
        if await ask() == expected:
            return
    raise AssertionError(f"never became {expected}")


@step
async def a_running_query_is_cancelled():
    on, other = await connect(), await connect()
    pid, sleeping = on.get_server_pid(), "SELECT wait_event FROM pg_stat_activity WHERE pid = $1"
    # By the task, by the driver's time limit.
    task = asyncio.create_task(on.execute("SELECT pg_sleep(60)"))
    await until(lambda: other.fetchval(sleeping, pid), "PgSleep")
    task.cancel()
    await refused(asyncio.CancelledError, task)
    equal(await on.fetchval("SELECT 1"), 1)
    await refused(asyncio.TimeoutError, on.execute("SELECT pg_sleep(60)", timeout=0.2))
    equal(await on.fetchval("SELECT 2"), 2)
    await on.close()
    await other.close()


@step
async def notifications():
    listener, sender = await connect(), await connect()
    heard = asyncio.Queue()
    await listener.add_listener("news", lambda _, pid, channel, payload: heard.put_nowait((pid, channel, payload)))
    await sender.execute("SELECT pg_notify('news', 'first')")
    equal(await asyncio.wait_for(heard.get(), 20), (sender.get_server_pid(), "news", "first"))
    await listener.execute("NOTIFY news, 'own'")
    equal(await asyncio.wait_for(heard.get(), 20), (listener.get_server_pid(), "news", "own"))
    await listener.close()
    await sender.close()


@step
async def large_values():
    on = await connect()
    text, binary = "ä" * (LARGE // 2), bytes(range(256)) * (LARGE // 256)
    equal(await on.fetchval("SELECT $1::text", text) == text, True)
    equal(await on.fetchval("SELECT $1::bytea", binary) == binary, True)
    await on.close()


@step
async def errors_are_whole():
    on = await connect()
    await on.execute("CREATE TEMP TABLE strict (id int CONSTRAINT strict_key PRIMARY KEY); INSERT INTO strict VALUES (1)")
    error = await refused(asyncpg.UniqueViolationError, on.execute("INSERT INTO strict VALUES ($1)", 1))
    equal((error.sqlstate, error.severity, error.table_name, error.constraint_name, error.detail),
          ("23505", "ERROR", "strict", "strict_key", "Key (id)=(1) already exists."))
    equal((await refused(asyncpg.UndefinedColumnError, on.fetch("SELECT id, idd FROM strict"))).position, "12")
    error = await refused(asyncpg.RaiseError, on.execute(
        "DO $$ BEGIN RAISE EXCEPTION 'own' USING DETAIL = 'the detail', HINT = 'the hint'; END $$"))
    equal((error.message, error.detail, error.hint), ("own", "the detail", "the hint"))
    await on.close()


@step
async def notices():
    on = await connect()
    heard = []
    on.add_log_listener(lambda _, notice: heard.append((notice.severity, notice.message)))
    await on.execute("DO $$ BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two'; END $$")
    await until(lambda: asyncio.sleep(0, heard), [("NOTICE", "one"), ("WARNING", "two")])
    await on.close()


@step
async def cursors_fetch_in_portions():
    on = await connect()
    async with on.transaction():
        equal([row[0] async for row in on.cursor("SELECT generate_series(1, 1050)", prefetch=100)], list(range(1, 1051)))
        cursor = await on.cursor("SELECT generate_series(1, $1::int)", 100)
        equal([row[0] for row in await cursor.fetch(10)], list(range(1, 11)))
        equal(await cursor.forward(50), 50)
        equal((await cursor.fetchrow())[0], 61)
        # Another statement while the portal is open.
        equal(await on.fetchval("SELECT 'between'"), "between")
        equal((await cursor.fetchrow())[0], 62)
    await on.close()


@step
async def sessions_end_on_both_sides():
    watcher, ended, killed = await connect(), await connect(), await connect()
    pid = ended.get_server_pid()
    await ended.close()
    await until(lambda: watcher.fetchval("SELECT count(*) FROM pg_stat_activity WHERE pid = $1", pid), 0)
    pid = killed.get_server_pid()
    running = asyncio.create_task(killed.execute("SELECT pg_sleep(60)"))
    await until(lambda: watcher.fetchval("SELECT wait_event FROM pg_stat_activity WHERE pid = $1", pid), "PgSleep")
    await watcher.execute("SELECT pg_terminate_backend(%d)" % pid)
    # The driver tells of the server's last words or of the end, whichever it sees first.
    await refused((asyncpg.AdminShutdownError, asyncpg.ConnectionDoesNotExistError), running)
    await watcher.close()


sys.exit(main(lambda body: asyncio.run(body())))
