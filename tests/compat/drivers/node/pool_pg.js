#!/usr/bin/env node
// node-postgres and its pool: statements prepared by name, LISTEN. What it is told and says: tests/compat/drivers/python/pool.py.
'use strict';
const pg = require('pg');

const CLIENT = process.env.POOL_CLIENT;
const TENANT = process.env.POOL_TENANT;
const CHANNEL = process.env.POOL_CHANNEL;
const [WORKERS, SIZE, THINKS, ZONE] = [2, 3, 10, 'Asia/Tokyo'];

let stopping = false;
process.stdin.on('end', () => { stopping = true; }).resume();
const say = (...words) => console.log(words.join(' ').replace(/\n/g, ' '));
const failed = (error) => say('failed', error.code || '-', error.message);
const pause = () => new Promise((resolve) => setTimeout(resolve, THINKS));
const prepared = (name, text) => (on, values) => on.query({ name, text, values });

const read = prepared('read', 'SELECT taken FROM stock WHERE tenant = $1 AND item = $2');
const insert = prepared('insert', 'INSERT INTO orders (client, tenant, worker, number) VALUES ($1, $2, $3, $4) RETURNING id');
const line = prepared('line', 'INSERT INTO lines (tenant, order_id, body) VALUES ($1, $2, $3)');
const take = prepared('take', 'UPDATE stock SET taken = taken + 1 WHERE tenant = $1 AND item = $2');
const seen = prepared('seen', 'SELECT count(*)::int FROM orders WHERE client = $1 AND worker = $2 AND number = $3');
const note = prepared('note', 'INSERT INTO notes (client, tenant, worker, number) VALUES ($1, $2, $3, $4)');

function check(found, expected, what) {
  if (found !== expected) throw new Error(`${what} is ${found}, not ${expected}`);
}

async function order(on, worker, number) {
  const { rows } = await on.query("SELECT current_setting('app.client') AS client, current_setting('TimeZone') AS zone");
  check(`${rows[0].client} ${rows[0].zone}`, `${CLIENT} ${ZONE}`, "the session's setting");
  await read(on, [TENANT, number % 10]);
  await on.query('SAVEPOINT here');
  const { rows: [{ id }] } = await insert(on, [CLIENT, TENANT, worker, number]);
  // Queued by the driver: both are on their way before the first is answered.
  await Promise.all([line(on, [TENANT, id, 'one']), line(on, [TENANT, id, 'two'])]);
  await on.query('RELEASE here');
  await take(on, [TENANT, number % 10]);
  if (number > 2) check((await seen(on, [CLIENT, worker, number - 2])).rows[0].count, 1, 'what was written before');
  await on.query('SELECT pg_notify($1, $2)', [CHANNEL, `${worker} ${number}`]);
}

async function transact(pool, worker, number) {
  if (number % 2 === 0) {
    await note(pool, [CLIENT, TENANT, worker, number]);
    return;
  }
  const on = await pool.connect();
  try {
    await on.query('BEGIN');
    await order(on, worker, number);
    await on.query('COMMIT');
    on.release();
  } catch (error) {
    on.release(error);
    throw error;
  }
}

async function work(pool, worker) {
  for (let number = 1; !stopping; ++number) {
    const since = performance.now();
    try {
      await transact(pool, worker, number);
      say('done', worker, number, (performance.now() - since).toFixed(1));
    } catch (error) {
      failed(error);
    }
    await pause();
  }
}

async function main() {
  const listener = new pg.Client();
  listener.on('error', failed).on('end', () => { if (!stopping) say('failed', '-', "the listener's connection was closed"); });
  await listener.connect();
  say('opened');
  listener.on('notification', ({ payload }) => say('heard', payload));
  await listener.query(`LISTEN ${CHANNEL}`);
  const pool = new pg.Pool({ max: SIZE, idleTimeoutMillis: 0 });
  pool.on('error', failed);
  pool.on('connect', (on) => {
    say('opened');
    on.query(`SET app.client = '${CLIENT}'; SET TimeZone = '${ZONE}'`).catch(failed);
  });
  await Promise.all(Array.from({ length: WORKERS }, (_, worker) => work(pool, worker)));
  await pool.end();
  await listener.end();
}

main().catch((error) => { failed(error); process.exit(1); });
