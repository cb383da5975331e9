-- What the shop has in it before Crossfade arrives. Customers 1 to 10 are left alone by the traffic: the demo breaks
-- one of them by hand and wants to know what it finds.
INSERT INTO customers (tenant_id, email, name, tags, preferences, credit)
SELECT CASE n % 2 WHEN 1 THEN 'acme' ELSE 'globex' END, 'customer' || n || '@shop.example', 'Customer ' || n,
       CASE n % 3 WHEN 0 THEN ARRAY['regular', 'ä "quoted", one'] ELSE '{}' END,
       jsonb_build_object('newsletter', n % 4 = 0, 'colours', jsonb_build_array('red', n)), n * 1.25
FROM generate_series(1, 1000) AS n;

INSERT INTO orders (tenant_id, customer_id, status, total, note)
SELECT tenant_id, id, 'paid', id * 10.0001, CASE id % 50 WHEN 0 THEN repeat(md5(id::text), 400) END
FROM customers;

INSERT INTO items (order_id, line, tenant_id, sku, quantity, price, attributes)
SELECT o.id, line, o.tenant_id, 'sku-' || line, line, 9.9900 + line, jsonb_build_object('gift', line = 2)
FROM orders AS o, generate_series(1, 3) AS line;

INSERT INTO payments (tenant_id, order_id, amount, method, receipt)
SELECT tenant_id, id, total, 'card', decode(md5(id::text), 'hex') FROM orders;
