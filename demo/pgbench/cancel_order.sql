-- The tenant's newest open order is cancelled; the foreign key's cascade takes its items along.
DELETE FROM orders WHERE id = (SELECT id FROM orders WHERE tenant_id = current_setting('app.tenant') AND status = 'open' ORDER BY id DESC LIMIT 1 FOR UPDATE SKIP LOCKED);
