-- A customer changes how many: a plain statement of its own, which under mirror the proxy writes to modern itself.
\set order random(1, 500)
UPDATE items SET quantity = quantity % 9 + 1 WHERE order_id = :order AND line = 1;
