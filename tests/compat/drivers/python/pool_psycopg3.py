#!/usr/bin/python3
"""psycopg 3 and psycopg_pool: extended protocol, statements prepared on the server from the first time on, a pipeline, LISTEN."""

import threading

import psycopg
from pool import CHANNEL, CLIENT, SIZE, TENANT, ZONE, check, failed, run_threads, say, watch_input
from psycopg_pool import ConnectionPool


def configure(connection):
    say("opened")
    connection.prepare_threshold = 0
    connection.execute("SELECT set_config('app.client', %s, false), set_config('TimeZone', %s, false)", (CLIENT, ZONE))
    connection.commit()


def order(on, worker, number):
    check(on.execute("SELECT current_setting('app.client'), current_setting('TimeZone')").fetchone(), (CLIENT, ZONE), "the session's setting")
    on.execute("SELECT taken FROM stock WHERE tenant = %s AND item = %s", (TENANT, number % 10))
    with on.transaction():  # a savepoint
        at, = on.execute("INSERT INTO orders (client, tenant, worker, number) VALUES (%s, %s, %s, %s) RETURNING id",
                         (CLIENT, TENANT, worker, number)).fetchone()
        on.cursor().executemany("INSERT INTO lines (tenant, order_id, body) VALUES (%s, %s, %s)", [(TENANT, at, "one"), (TENANT, at, "two")])
    on.execute("UPDATE stock SET taken = taken + 1 WHERE tenant = %s AND item = %s", (TENANT, number % 10))
    if number > 2:
        seen = on.execute("SELECT count(*) FROM orders WHERE client = %s AND worker = %s AND number = %s", (CLIENT, worker, number - 2))
        check(seen.fetchone(), (1,), "what was written before")
    on.execute("SELECT pg_notify(%s, %s)", (CHANNEL, f"{worker} {number}"))


def transact(ledger):
    with connections.connection() as on:
        if ledger.number % 2 == 0:
            with on.pipeline():
                on.execute("INSERT INTO notes (client, tenant, worker, number) VALUES (%s, %s, %s, %s)",
                           (CLIENT, TENANT, ledger.worker, ledger.number))
                on.execute("SELECT 1")
        else:
            order(on, ledger.worker, ledger.number)


def listen(on):
    try:
        for heard in on.notifies():
            say("heard", heard.payload)
    except Exception as error:
        failed(error)


watch_input()
listener = psycopg.connect("", autocommit=True)
say("opened")
listener.execute(f"LISTEN {CHANNEL}")
threading.Thread(target=listen, args=(listener,), daemon=True).start()
with ConnectionPool("", min_size=SIZE, max_size=SIZE, configure=configure) as connections:
    run_threads(transact)
    told = connections.get_stats()
    for name in ("connections_errors", "connections_lost", "requests_errors", "returns_bad"):
        if told.get(name, 0):
            say("failed", "-", f"the pool counts {name}: {told[name]}")
