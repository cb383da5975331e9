-- Reading, as most of an application does.
\set customer random(11, 1000)
SELECT o.id, o.status, o.total, count(i.line) AS lines FROM orders AS o LEFT JOIN items AS i ON i.order_id = o.id WHERE o.customer_id = :customer GROUP BY o.id ORDER BY o.id DESC LIMIT 10;
