-- A customer buys one to five things: a transaction of several statements, an answer used by the next one, triggers.
\set customer random(11, 1000)
\set lines random(1, 5)
BEGIN;
INSERT INTO orders (customer_id, note) VALUES (:customer, CASE WHEN :lines = 5 THEN repeat(md5(random()::text), 100) END) RETURNING id AS order_id \gset
INSERT INTO items (order_id, line, sku, quantity, price, attributes) SELECT :order_id, n, 'sku-' || (random() * 500)::int, 1 + n % 3, round((random() * 100)::numeric, 4), jsonb_build_object('gift', n % 4 = 0, 'seed', random()) FROM generate_series(1, :lines::int) AS n;
UPDATE orders SET total = (SELECT sum(quantity * price) FROM items WHERE order_id = orders.id), discounts = ARRAY[0.05, 1.0 / :lines::int] WHERE id = :order_id;
COMMIT;
