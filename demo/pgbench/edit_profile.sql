-- A customer's own page, outside a transaction: an upsert on the second unique key, and documents changed in place.
\set customer random(11, 1000)
\set visits random(1, 1000000)
UPDATE customers SET preferences = jsonb_set(preferences, '{visits}', to_jsonb(:visits::int)), tags = (ARRAY['seen'] || tags)[1:4], credit = credit + 0.01 WHERE id = :customer AND tenant_id = current_setting('app.tenant');
INSERT INTO customers (email, name) VALUES ('guest' || :visits % 200 || '@shop.example', 'Guest') ON CONFLICT (tenant_id, email) DO UPDATE SET credit = customers.credit + 1, name = 'Guest, again';
