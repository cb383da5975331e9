#!/usr/bin/python3
"""psycopg2 and its ThreadedConnectionPool: simple protocol, statements prepared by SQL."""

import os

import psycopg2
import psycopg2.pool
from pool import CLIENT, SIZE, TENANT, ZONE, check, run_threads, say, watch_input

PREPARED = """
PREPARE seen (text, int, int) AS SELECT count(*) FROM orders WHERE client = $1 AND worker = $2 AND number = $3;
PREPARE note (text, text, int, int) AS INSERT INTO notes (client, tenant, worker, number) VALUES ($1, $2, $3, $4);
"""


class Connection(psycopg2.extensions.connection):
    def __init__(self, *arguments, **more):
        super().__init__(*arguments, **more)
        say("opened")
        with self, self.cursor() as on:
            on.execute(f"SET app.client = '{CLIENT}'; SET TimeZone = '{ZONE}';" + PREPARED)


def order(on, worker, number):
    on.execute("SET LOCAL lock_timeout = '30s'")
    on.execute("SELECT current_setting('app.client'), current_setting('TimeZone')")
    check(on.fetchone(), (CLIENT, ZONE), "the session's setting")
    on.execute("SELECT taken FROM stock WHERE tenant = %s AND item = %s", (TENANT, number % 10))
    on.execute("SAVEPOINT here")
    on.execute("INSERT INTO orders (client, tenant, worker, number) VALUES (%s, %s, %s, %s) RETURNING id", (CLIENT, TENANT, worker, number))
    at, = on.fetchone()
    on.executemany("INSERT INTO lines (tenant, order_id, body) VALUES (%s, %s, %s)", [(TENANT, at, "one"), (TENANT, at, "two")])
    on.execute("RELEASE here")
    on.execute("UPDATE stock SET taken = taken + 1 WHERE tenant = %s AND item = %s", (TENANT, number % 10))
    if number > 2:
        on.execute("EXECUTE seen (%s, %s, %s)", (CLIENT, worker, number - 2))
        check(on.fetchone(), (1,), "what was written before")


def transact(ledger):
    connection = connections.getconn()
    try:
        with connection, connection.cursor() as on:
            if ledger.number % 2 == 0:
                on.execute("EXECUTE note (%s, %s, %s, %s)", (CLIENT, TENANT, ledger.worker, ledger.number))
            else:
                order(on, ledger.worker, ledger.number)
    finally:
        connections.putconn(connection)


connections = psycopg2.pool.ThreadedConnectionPool(SIZE, SIZE, "", connection_factory=Connection, options=os.environ["PGOPTIONS"])
watch_input()
run_threads(transact)
connections.closeall()
