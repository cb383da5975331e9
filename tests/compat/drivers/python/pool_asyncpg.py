#!/usr/bin/python3
"""asyncpg and its pool, which resets a session when it comes back: binary, everything prepared and kept on the server, LISTEN."""

import asyncio

import asyncpg
from pool import CHANNEL, CLIENT, SIZE, TENANT, THINKS, WORKERS, ZONE, Ledger, check, failed, say, stopping, watch_input

SETTINGS = {"app.client": CLIENT, "app.tenant": TENANT, "TimeZone": ZONE}


async def opened(_):
    say("opened")


async def order(on, worker, number):
    check(tuple(await on.fetchrow("SELECT current_setting('app.client'), current_setting('TimeZone')")), (CLIENT, ZONE), "the session's setting")
    await on.fetchval("SELECT taken FROM stock WHERE tenant = $1 AND item = $2", TENANT, number % 10)
    async with on.transaction():  # a savepoint
        at = await on.fetchval("INSERT INTO orders (client, tenant, worker, number) VALUES ($1, $2, $3, $4) RETURNING id",
                               CLIENT, TENANT, worker, number)
        await on.executemany("INSERT INTO lines (tenant, order_id, body) VALUES ($1, $2, $3)", [(TENANT, at, "one"), (TENANT, at, "two")])
    await on.execute("UPDATE stock SET taken = taken + 1 WHERE tenant = $1 AND item = $2", TENANT, number % 10)
    if number > 2:
        check(await on.fetchval("SELECT count(*) FROM orders WHERE client = $1 AND worker = $2 AND number = $3", CLIENT, worker, number - 2), 1,
              "what was written before")
    await on.execute("SELECT pg_notify($1, $2)", CHANNEL, f"{worker} {number}")


async def transact(connections, ledger):
    async with connections.acquire() as on:
        if ledger.number % 2 == 0:
            await on.execute("INSERT INTO notes (client, tenant, worker, number) VALUES ($1, $2, $3, $4)",
                             CLIENT, TENANT, ledger.worker, ledger.number)
        else:
            async with on.transaction():
                await order(on, ledger.worker, ledger.number)


async def work(connections, worker):
    ledger = Ledger(worker)
    while not stopping.is_set():
        ledger.begin()
        try:
            await transact(connections, ledger)
            ledger.end()
        except Exception as error:
            failed(error)
        await asyncio.sleep(THINKS)


async def main():
    watch_input()
    more = {"ssl": False, "timeout": 20, "server_settings": SETTINGS}
    listener = await asyncpg.connect(**more)
    say("opened")
    await listener.add_listener(CHANNEL, lambda *heard: say("heard", heard[-1]))
    async with asyncpg.create_pool(min_size=SIZE, max_size=SIZE, init=opened, command_timeout=60, **more) as connections:
        await asyncio.gather(*(work(connections, worker) for worker in range(WORKERS)))
    if listener.is_closed():
        say("failed", "-", "the listener's connection was closed")
    await listener.close()


asyncio.run(main())
