#!/usr/bin/env node
// node-postgres, with pg-cursor and pg-copy-streams. Connects as libpq's environment says.
'use strict';
const assert = require('node:assert/strict');
const fs = require('node:fs');
const { Readable } = require('node:stream');
const { pipeline } = require('node:stream/promises');
const { once } = require('node:events');
const pg = require('pg');
const Cursor = require('pg-cursor');
const { from: copyFrom, to: copyTo } = require('pg-copy-streams');

const LARGE = 16 * 1024 * 1024;
const steps = [];
const step = (body) => steps.push(body);

function tls() {
  const mode = process.env.PGSSLMODE || 'disable';
  if (mode === 'disable') return false;
  const file = (name) => process.env[name] && fs.readFileSync(process.env[name]);
  const settings = { ca: file('PGSSLROOTCERT'), cert: file('PGSSLCERT'), key: file('PGSSLKEY') };
  if (mode === 'verify-ca') settings.checkServerIdentity = () => undefined;
  else if (mode !== 'verify-full') settings.rejectUnauthorized = false;
  return settings;
}

const open = [];
async function connect(more = {}) {
  const on = new pg.Client({ ssl: tls(), ...more });
  // A client that nobody listens to throws when its server goes away.
  on.on('error', () => {});
  open.push(on);
  await on.connect();
  return on;
}
const one = async (on, ...query) => Object.values((await on.query(...query)).rows[0])[0];
const refused = (code, work) => assert.rejects(work, (error) => { assert.equal(error.code, code); return true; });
async function until(ask, expected) {
  for (let tries = 0; tries < 20000; ++tries) if ((await ask()) === expected) return;
  throw new Error(`never became ${expected}`);
}
const waits = (other, pid) => () => one(other, 'SELECT max(wait_event) FROM pg_stat_activity WHERE pid = $1', [pid]);

step(async function connects_with_its_password() {
  const on = await connect();
  assert.equal(await one(on, 'SELECT current_user::text'), process.env.PGUSER);
  assert.equal(await one(on, 'SELECT pg_backend_pid()'), on.processID);
  await refused('28P01', connect({ password: 'wrong' }));
});

step(async function start_up_parameters_arrive() {
  const on = await connect({ options: '-c app.tenant=acme\\ ltd', statement_timeout: 12345, application_name: 'shop' });
  assert.equal(await one(on, 'SHOW statement_timeout'), '12345ms');
  assert.equal(await one(on, "SELECT current_setting('app.tenant')"), 'acme ltd');
  assert.equal(await one(on, 'SHOW application_name'), 'shop');
});

step(async function prepared_statements() {
  const on = await connect();
  for (let number = 0; number < 200; ++number) {
    const { rows } = await on.query({ name: 'doubled', text: 'SELECT $1::int * 2 AS a, $2::text AS b', values: [number, 'x'.repeat(number)] });
    assert.deepEqual(rows, [{ a: number * 2, b: 'x'.repeat(number) }]);
  }
  assert.equal(await one(on, "SELECT count(*)::int FROM pg_prepared_statements WHERE name = 'doubled'"), 1);
  // A name that was refused is free again.
  await refused('42P01', on.query({ name: 'late', text: 'SELECT * FROM late', values: [] }));
  await on.query('CREATE TEMP TABLE late AS SELECT 7 AS n');
  assert.equal(await one(on, { name: 'late', text: 'SELECT n FROM late', values: [] }), 7);
  await on.query('DEALLOCATE ALL');
  await refused('26000', on.query({ name: 'doubled', text: 'SELECT $1::int * 2 AS a, $2::text AS b', values: [1, ''] }));
});

step(async function batches() {
  const on = await connect();
  await on.query('CREATE TEMP TABLE batched (id int PRIMARY KEY)');
  // Queued by the driver, each with a Sync of its own; one in the middle fails alone.
  const work = [];
  for (let number = 0; number < 500; ++number) work.push(on.query('INSERT INTO batched VALUES ($1)', [number === 250 ? 1 : number]));
  const ends = await Promise.allSettled(work);
  assert.deepEqual(ends.map((end, at) => (end.status === 'rejected' ? [at, end.reason.code] : null)).filter(Boolean), [[250, '23505']]);
  assert.equal(await one(on, 'SELECT count(*)::int FROM batched'), 499);
  const results = await on.query('SELECT 1 AS a; UPDATE batched SET id = id + 1000 WHERE id < 3; SELECT 2 AS b');
  assert.deepEqual(results.map((result) => result.command), ['SELECT', 'UPDATE', 'SELECT']);
  await refused('22012', on.query('DELETE FROM batched; SELECT 1 / 0'));
  assert.equal(await one(on, 'SELECT count(*)::int FROM batched'), 499);
});

step(async function a_transaction_with_an_error_in_the_middle() {
  const on = await connect();
  await on.query('CREATE TEMP TABLE kept (id int)');
  await on.query('BEGIN');
  await on.query('INSERT INTO kept VALUES (1)');
  await refused('22012', on.query('SELECT 1 / $1::int', [0]));
  await refused('25P02', on.query('SELECT 1'));
  assert.equal((await on.query('COMMIT')).command, 'ROLLBACK');
  await on.query('BEGIN; INSERT INTO kept VALUES (2); SAVEPOINT here; INSERT INTO kept VALUES (99)');
  await refused('22012', on.query('SELECT 1 / 0'));
  await on.query('ROLLBACK TO here; INSERT INTO kept VALUES (3); COMMIT');
  assert.deepEqual((await on.query('SELECT id FROM kept ORDER BY id')).rows, [{ id: 2 }, { id: 3 }]);
});

step(async function copy_in_and_out() {
  const on = await connect();
  await on.query('CREATE TEMP TABLE copied (id int, body text)');
  const rows = Array.from({ length: 20000 }, (_, number) => `${number}\trow ${number}\n`);
  await pipeline(Readable.from(rows), on.query(copyFrom('COPY copied FROM STDIN')));
  const read = [];
  const out = on.query(copyTo('COPY (SELECT * FROM copied ORDER BY id) TO STDOUT'));
  out.on('data', (block) => read.push(block));
  await once(out, 'end');
  assert.ok(Buffer.concat(read).toString() === rows.join(''));
  await refused('22P02', pipeline(Readable.from(['bad\tx\n', ...rows]), on.query(copyFrom('COPY copied FROM STDIN'))));
  assert.equal(await one(on, 'SELECT count(*)::int FROM copied'), 20000);
});

step(async function a_running_query_is_cancelled() {
  const [on, other] = [await connect(), await connect()];
  const sleeping = new pg.Query('SELECT pg_sleep(60)');
  const ended = new Promise((resolve) => { sleeping.on('error', resolve); sleeping.on('end', resolve); });
  on.query(sleeping);
  await until(waits(other, on.processID), 'PgSleep');
  // The driver's own way: a client that connects for the request alone.
  new pg.Client({ ssl: tls() }).cancel(on, sleeping);
  assert.equal((await ended)?.code, '57014');
  assert.equal(await one(on, 'SELECT 1'), 1);
});

step(async function notifications() {
  const [listener, sender] = [await connect(), await connect()];
  await listener.query('LISTEN news');
  const heard = once(listener, 'notification');
  await sender.query("SELECT pg_notify('news', 'first')");
  const [{ channel, payload, processId }] = await heard;
  assert.deepEqual([channel, payload, processId], ['news', 'first', sender.processID]);
});

step(async function large_values() {
  const on = await connect();
  const text = 'ä'.repeat(LARGE / 2);
  assert.ok((await one(on, 'SELECT $1::text', [text])) === text);
  const binary = Buffer.alloc(LARGE, Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)));
  assert.ok((await one(on, 'SELECT $1::bytea', [binary])).equals(binary));
});

step(async function errors_are_whole() {
  const on = await connect();
  await on.query('CREATE TEMP TABLE strict (id int CONSTRAINT strict_key PRIMARY KEY); INSERT INTO strict VALUES (1)');
  const fields = async (work, ...names) => { const error = await work.then(() => assert.fail(), (it) => it); return names.map((name) => error[name]); };
  assert.deepEqual(await fields(on.query('INSERT INTO strict VALUES ($1)', [1]), 'code', 'severity', 'table', 'constraint', 'detail'),
    ['23505', 'ERROR', 'strict', 'strict_key', 'Key (id)=(1) already exists.']);
  assert.deepEqual(await fields(on.query('SELECT id, idd FROM strict'), 'code', 'position'), ['42703', '12']);
  assert.deepEqual(await fields(on.query("DO $$ BEGIN RAISE EXCEPTION 'own' USING DETAIL = 'the detail', HINT = 'the hint'; END $$"),
    'message', 'detail', 'hint'), ['own', 'the detail', 'the hint']);
});

step(async function notices() {
  const on = await connect();
  const heard = [];
  on.on('notice', (notice) => heard.push([notice.severity, notice.message]));
  await on.query("DO $$ BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two'; END $$");
  assert.deepEqual(heard, [['NOTICE', 'one'], ['WARNING', 'two']]);
});

step(async function cursors_fetch_in_portions() {
  const on = await connect();
  const cursor = on.query(new Cursor('SELECT generate_series(1, $1::int) AS n', [1050]));
  const sizes = [];
  for (let rows = await cursor.read(100); rows.length > 0; rows = await cursor.read(100)) sizes.push(rows.length);
  assert.deepEqual(sizes, [...Array(10).fill(100), 50]);
  await cursor.close();
  const unfinished = on.query(new Cursor('SELECT generate_series(1, 100000) AS n'));
  assert.equal((await unfinished.read(10)).length, 10);
  await unfinished.close();
  assert.equal(await one(on, 'SELECT 1'), 1);
});

step(async function sessions_end_on_both_sides() {
  const [watcher, ended, killed] = [await connect(), await connect(), await connect()];
  const pid = ended.processID;
  await ended.end();
  await until(() => one(watcher, 'SELECT count(*)::int FROM pg_stat_activity WHERE pid = $1', [pid]), 0);
  const work = killed.query('SELECT pg_sleep(60)');
  const told = refused('57P01', work);
  await until(waits(watcher, killed.processID), 'PgSleep');
  await watcher.query('SELECT pg_terminate_backend($1)', [killed.processID]);
  await told;
});

async function main() {
  const wanted = process.argv.slice(2);
  for (const body of steps) {
    if (wanted.length > 0 && !wanted.includes(body.name)) continue;
    try {
      await body();
    } catch (error) {
      console.log(error);
      console.log(`not ok ${body.name}`);
      process.exit(1);
    }
    console.log(`ok ${body.name}`);
    await Promise.all(open.splice(0).map((on) => on.end().catch(() => {})));
  }
}
main();
