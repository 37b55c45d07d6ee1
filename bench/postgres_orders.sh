#!/usr/bin/env bash
# PostgreSQL on single-row updates, durable, three views kept by row triggers (Debian has no pg_ivm): a grouped one with
# count, sum, min and max, one over a join, a filtered one. One JSON line; nothing where PostgreSQL is not installed.
#
#   postgres_orders.sh ORDERS DIRECTORY
set -euo pipefail

orders=$1 place=$2
bin=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -1)
[ -x "$bin/initdb" ] && [ -x "$bin/pgbench" ] || { echo "  no PostgreSQL here: left out" >&2; exit 0; }

mkdir -p "$place"
run=()
if [ "$(id -u)" = 0 ]; then
    chown postgres "$place"
    run=(runuser -u postgres --)
    "${run[@]}" test -w "$place" || { echo "  PostgreSQL cannot write to $place: left out" >&2; exit 0; }
fi
pg() { "${run[@]}" env -C "$place" "$@"; }
query() { pg "$bin/psql" -h "$place" -qAtX -v ON_ERROR_STOP=1 -d postgres "$@"; }
stop() { pg "$bin/pg_ctl" -D "$place/data" -m immediate stop >/dev/null 2>&1 || true; }
trap stop EXIT

pg "$bin/initdb" -D "$place/data" -A trust -E UTF8 --no-locale >/dev/null
pg "$bin/pg_ctl" -D "$place/data" -l "$place/log" -w \
    -o "-k '$place' -c listen_addresses='' -c shared_buffers=1GB -c max_wal_size=4GB" start >/dev/null

query >/dev/null <<SQL
CREATE TABLE customer (id int PRIMARY KEY, tier text NOT NULL);
CREATE TABLE orders (id int PRIMARY KEY, customer int NOT NULL, status text NOT NULL, total numeric(10,2) NOT NULL,
                     day date NOT NULL);
INSERT INTO customer SELECT i, (ARRAY['bronze','silver','gold','platinum'])[1 + i % 4]
    FROM generate_series(0, $orders / 100) i;
INSERT INTO orders SELECT i, i % ($orders / 100), (ARRAY['new','paid','packed','shipped','done'])[1 + i * 7919::bigint % 5],
    1 + i * 104729::bigint % 100000 / 100.0, date '2025-01-01' + (i * 15485863::bigint % 365)::int
    FROM generate_series(0, $orders - 1) i;
CREATE INDEX ON orders (status, day, total);
CREATE TABLE by_day AS SELECT status, day, count(*) AS orders, sum(total) AS sum, min(total) AS least, max(total) AS most
    FROM orders GROUP BY status, day;
ALTER TABLE by_day ADD PRIMARY KEY (status, day);
CREATE TABLE by_tier AS SELECT status, tier, count(*) AS orders, sum(total) AS sum
    FROM orders JOIN customer ON customer = customer.id GROUP BY status, tier;
ALTER TABLE by_tier ADD PRIMARY KEY (status, tier);
CREATE TABLE large AS SELECT id, customer, total, status FROM orders WHERE total > 1000;
ALTER TABLE large ADD PRIMARY KEY (id);
CREATE FUNCTION follow() RETURNS trigger LANGUAGE plpgsql AS \$\$
DECLARE old_tier text; new_tier text;
BEGIN
    UPDATE by_day SET orders = orders - 1, sum = sum - OLD.total,
        least = (SELECT min(total) FROM orders WHERE status = OLD.status AND day = OLD.day),
        most = (SELECT max(total) FROM orders WHERE status = OLD.status AND day = OLD.day)
        WHERE status = OLD.status AND day = OLD.day;
    UPDATE by_day SET orders = orders + 1, sum = sum + NEW.total, least = least(least, NEW.total),
        most = greatest(most, NEW.total) WHERE status = NEW.status AND day = NEW.day;
    SELECT tier INTO old_tier FROM customer WHERE id = OLD.customer;
    SELECT tier INTO new_tier FROM customer WHERE id = NEW.customer;
    UPDATE by_tier SET orders = orders - 1, sum = sum - OLD.total WHERE status = OLD.status AND tier = old_tier;
    UPDATE by_tier SET orders = orders + 1, sum = sum + NEW.total WHERE status = NEW.status AND tier = new_tier;
    IF OLD.total > 1000 THEN DELETE FROM large WHERE id = OLD.id; END IF;
    IF NEW.total > 1000 THEN INSERT INTO large VALUES (NEW.id, NEW.customer, NEW.total, NEW.status); END IF;
    RETURN NULL;
END \$\$;
CREATE TRIGGER follow AFTER UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION follow();
VACUUM ANALYZE;
CHECKPOINT;
SQL

cat >"$place/update.sql" <<SQL
\\set id random(0, $orders - 1)
\\set n random(0, 4)
UPDATE orders SET status = (ARRAY['new','paid','packed','shipped','done'])[1 + :n], total = total + 1 WHERE id = :id;
SQL
pg "$bin/pgbench" -h "$place" -n -M prepared -c 1 -T 5 -f update.sql -l --log-prefix=took postgres >/dev/null 2>&1
version=$(query -c 'SHOW server_version' | cut -d ' ' -f 1)
sort -n -k 3,3 "$place"/took.* | awk -v version="$version" '
    { took[NR] = $3; sum += $3 }
    END { printf "{\"phase\":\"postgres-update\",\"version\":\"%s\",\"commits_per_s\":%.0f,\"p50_us\":%d,\"p99_us\":%d}\n",
          version, NR * 1e6 / sum, took[int(NR / 2) + 1], took[int(NR * 0.99) + 1] }'
