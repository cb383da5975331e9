-- The application's own user: it logs in through the proxy, and the database checks the password.
CREATE ROLE shop LOGIN PASSWORD 'window';
GRANT ALL ON SCHEMA public TO shop;
