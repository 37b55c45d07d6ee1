"""The same random rows, updates and deletes given to ParqueDB's command line, to DuckDB and to
SQLite: every view has the rows that its definition's translation to SQL gives. Numbers are compared
as numbers: whole, decimal, and doubles where SQL's result is exact by construction (quarters)."""
import datetime
import json
import os
import random
import sqlite3
import subprocess
import tempfile
from decimal import Decimal

import duckdb
from interop import check, equal, finish

command = os.path.join(os.environ["PQ_BUILD_DIR"], "parquedb")
SEEDS, COMMITS, CHECK_EVERY = range(1, 4), 12, 6

SCHEMA = """{
  Customer: { name: 'string', tier: 'string', credit: 'int' },
  Item: { customer: '-> Customer', status: 'string', n: 'int', amount: 'decimal(10,2)',
          weight: 'double', day: 'date', moment: 'timestamp' },
%s}"""
COLUMNS = {
    "Customer": ["name", "tier", "credit"],
    "Item": ["customer", "status", "n", "amount", "weight", "day", "moment"],
}
TYPES = {"name": "text", "tier": "text", "credit": "bigint", "customer": "text", "status": "text",
         "n": "bigint", "amount": "bigint", "weight": "double", "day": "date", "moment": "timestamp"}

# name: definition, SQL whose columns are the view's. {amount} is the column as its cents,
# {month} the first of the day's month, {first}… where the dialects differ; None: DuckDB only.
VIEWS = {
    "Open": ("$from: 'Item', $filter: { status: { $in: ['open', 'paid'] }, n: { $gte: 2 } }, "
             "$select: { n: '$n', amount: '$amount', twice: { $multiply: ['$n', 2] } }",
             "select id, n, amount as \"amount/100\", n * 2 as twice from Item "
             "where status in ('open', 'paid') and n >= 2"),
    "Rest": ("$from: 'Item', $filter: { status: { $nin: ['open', 'paid'] } }, "
             "$select: { s: '$status' }",
             "select id, status as s from Item "
             "where status is null or status not in ('open', 'paid')"),
    "ByStatus": ("$from: 'Item', $groupBy: ['status'], $compute: { rows: { $count: '*' }, "
                 "ns: { $count: 'n' }, sum: { $sum: 'n' }, low: { $min: 'n' }, "
                 "high: { $max: 'n' }, mean: { $avg: 'n' }, w: { $sum: 'weight' } }",
                 "select status, count(*) as rows, count(n) as ns, coalesce(sum(n), 0) as sum, "
                 "min(n) as low, max(n) as high, avg(n) as mean, coalesce(sum(weight), 0.0) as w "
                 "from Item group by status"),
    "ByMonth": ("$from: 'Item', $groupBy: [{ month: '$day' }, 'status'], $compute: { "
                "sum: { $sum: 'amount' }, low: { $min: 'amount' }, last: { $max: 'moment' } }",
                "select {month} as month, status, coalesce(sum(amount), 0) as \"sum/100\", "
                "min(amount) as \"low/100\", max(moment) as last from Item group by 1, 2"),
    "Large": ("$from: 'Item', $groupBy: ['customer'], $compute: { rows: { $count: '*' }, "
              "sum: { $sum: 'n' } }, $having: { sum: { $gt: 3 } }",
              "select customer, count(*) as rows, coalesce(sum(n), 0) as sum from Item "
              "group by customer having coalesce(sum(n), 0) > 3"),
    "Sums": ("$from: 'ByStatus', $groupBy: ['rows'], $compute: { all: { $sum: 'sum' }, "
             "of: { $count: '*' } }",
             "select rows, sum(s) as \"all\", count(*) as of from (select count(*) as rows, "
             "coalesce(sum(n), 0) as s from Item group by status) as b group by rows"),
    "ByTier": ("$from: 'Item', $groupBy: ['customer.tier'], $compute: { rows: { $count: '*' }, "
               "n: { $sum: 'n' }, kinds: { $countDistinct: 'status' }, "
               "credit: { $max: 'customer.credit' } }",
               "select c.tier as customer_tier, count(*) as rows, coalesce(sum(i.n), 0) as n, "
               "count(distinct i.status) as kinds, max(c.credit) as credit "
               "from Item i left join Customer c on c.id = i.customer group by c.tier"),
    "Named": ("$from: 'Item', $expand: ['customer'], $flatten: { customer: 'buyer' }, "
              "$filter: { buyer_credit: { $gt: 2 } }, "
              "$select: { n: '$n', name: '$buyer_name', who: '$buyer_id' }",
              "select i.id, i.n, c.name, c.id as who from Item i "
              "join Customer c on c.id = i.customer where c.credit > 2"),
    "Spread": ("$from: 'Item', $groupBy: ['status'], $compute: { q: { $percentile: ['n', 0.25] }, "
               "mid: { $median: 'n' }, all: { $collect: 'n' }, first: { $first: 'n' }, "
               "last: { $last: 'n' }, early: { $first: 'n', $by: 'moment' } }",
               "{duckdb}select status, quantile_cont(n, 0.25) as q, median(n) as mid, "
               "list(n order by seq) filter (n is not null) as \"all\", "
               "first(n order by seq) as first, last(n order by seq) as last, "
               "first(n order by moment, seq) filter (moment is not null) as early "
               "from Item group by status"),
    "Total": ("$from: 'Item', $compute: { rows: { $count: '*' }, n: { $sum: 'n' }, "
              "amount: { $sum: 'amount' }, heavy: { $sum: { $cond: [{ $gt: ['$weight', 2] }, "
              "1, 0] } } }",
              "select count(*) as rows, coalesce(sum(n), 0) as n, "
              "coalesce(sum(amount), 0) as \"amount/100\", "
              "coalesce(sum(case when weight > 2 then 1 else 0 end), 0) as heavy from Item"),
}
DIALECTS = {
    "duckdb": {"month": "date_trunc('month', day)::date"},
    "sqlite": {"month": "date(day, 'start of month')"},
}


class Database:
    """ParqueDB through its command."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.root = os.path.join(self.folder.name, "db")
        schema = os.path.join(self.folder.name, "schema.json5")
        views = "".join(f"  {name}: {{ {view[0]} }},\n" for name, view in VIEWS.items())
        with open(schema, "w", encoding="utf-8") as file:
            file.write(SCHEMA % views)
        self.run("init", schema)

    def run(self, *arguments, given=None):
        result = subprocess.run([command, "--db", self.root, "--format", "ndjson", *arguments],
                                input=given, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            check(False, "parquedb " + " ".join(arguments)[:300], result.stderr[-500:])
        return result.stdout

    def rows(self, view):
        lines = self.run("find", view).splitlines()
        return [json.loads(line, parse_float=Decimal) for line in lines]


class Sql:
    """The same rows in tables of DuckDB and SQLite."""

    def __init__(self):
        self.connections = {"duckdb": duckdb.connect(), "sqlite": sqlite3.connect(":memory:")}
        for table, columns in COLUMNS.items():
            for dialect, connection in self.connections.items():
                types = {} if dialect == "duckdb" else {"date": "text", "timestamp": "text",
                                                        "double": "real"}
                fields = ", ".join(f"{name} {types.get(TYPES[name], TYPES[name])}"
                                   for name in columns)
                connection.execute(f"create table {table} (id text primary key, seq bigint, "
                                   f"{fields})")

    def execute(self, text, values=()):
        for connection in self.connections.values():
            connection.execute(text, values)

    def rows(self, view):
        """One answer for each dialect, as column: value."""
        for dialect, connection in self.connections.items():
            text = VIEWS[view][1]
            if text.startswith("{duckdb}") and dialect != "duckdb":
                continue
            for name, replacement in DIALECTS[dialect].items():
                text = text.replace("{%s}" % name, replacement)
            cursor = connection.execute(text.replace("{duckdb}", ""))
            names = [column[0] for column in cursor.description]
            yield dialect, [dict(zip(names, row)) for row in cursor.fetchall()]


def plain(value):
    """A value as both sides can have it: numbers exact, times as ISO text."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, (int, float, Decimal)):
        return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if isinstance(value, datetime.datetime):
        return value.isoformat(timespec="milliseconds") + "Z"
    if isinstance(value, list):
        return tuple(map(plain, value))
    return value.isoformat()


def canonical(rows):
    """Rows in an order of their own; "x/100" is a column of cents."""
    made = []
    for row in rows:
        cells = {}
        for name, value in row.items():
            value = plain(value)
            if name.endswith("/100") and value is not None:
                value /= 100
            cells[name.removesuffix("/100")] = value
        made.append(cells)
    return sorted(made, key=lambda row: repr(sorted(row.items())))


def random_row(dice, table, customers):
    def maybe(value):
        return None if dice.random() < 0.15 else value

    if table == "Customer":
        return {"name": maybe(dice.choice("abcde")), "tier": maybe(dice.choice(["gold", "tin"])),
                "credit": maybe(dice.randint(-3, 9))}
    day = datetime.date(2026, 1, 1) + datetime.timedelta(days=dice.randint(0, 120))
    at = datetime.datetime(2026, 1, 1) + datetime.timedelta(milliseconds=dice.randint(0, 10 ** 10))
    return {"customer": maybe(dice.choice(customers)) if customers else None,
            "status": maybe(dice.choice(["open", "paid", "late", ""])),
            "n": maybe(dice.randint(-4, 9)), "amount": maybe(dice.randint(-500, 5000)),
            "weight": maybe(dice.randint(-8, 40) / 4), "day": maybe(day.isoformat()),
            "moment": maybe(at.isoformat(timespec="milliseconds") + "Z")}


def to_json(row):
    """A row for ParqueDB: cents become a decimal."""
    row = dict(row)
    if row.get("amount") is not None:
        row["amount"] = str(Decimal(row["amount"]) / 100)
    return row


class Program:
    """Random commits, the same for all."""

    def __init__(self, seed):
        self.dice, self.database, self.sql = random.Random(seed), Database(), Sql()
        self.ids = {table: [] for table in COLUMNS}
        self.next_seq = 0

    def create(self, table):
        free = [f"{table[0].lower()}{k}" for k in range(60)]
        free = [one for one in free if one not in self.ids[table]]
        rows = []
        for one in self.dice.sample(free, min(len(free), self.dice.choice([1, 3, 20]))):
            row = {"id": one} | random_row(self.dice, table, self.ids["Customer"])
            rows.append(json.dumps({"$id": one} | to_json({k: v for k, v in row.items()
                                                           if k != "id"})))
            marks = ", ".join("?" * (len(row) + 1))
            self.next_seq += 1
            self.sql.execute(f"insert into {table} (seq, {', '.join(row)}) values ({marks})",
                             (self.next_seq, *row.values()))
            self.ids[table].append(one)
        if rows:
            self.database.run("create", table, "-", given="\n".join(rows) + "\n")

    def pick(self, table):
        """A filter and its SQL."""
        kind = self.dice.randint(0, 2)
        if kind == 0 and self.ids[table]:
            one = self.dice.choice(self.ids[table])
            return f"{{ $id: '{one}' }}", f"id = '{one}'"
        if table == "Customer":
            return "{ credit: { $lt: 2 } }", "credit < 2"
        status, n = self.dice.choice(["open", "late"]), self.dice.randint(0, 9)
        return (f"{{ status: '{status}', n: {{ $lte: {n} }} }}", f"status = '{status}' and n <= {n}")

    def update(self, table):
        where, condition = self.pick(table)
        by = self.dice.randint(1, 4)
        choices = [("{ $set: { tier: 'iron' }, $inc: { credit: %d } }" % by,
                    f"tier = 'iron', credit = coalesce(credit, 0) + {by}"),
                   ("{ $unset: { name: true } }", "name = null")]
        if table == "Item":
            choices = [
                ("{ $set: { status: 'paid' }, $inc: { n: %d } }" % by,
                 f"status = 'paid', n = coalesce(n, 0) + {by}"),
                ("{ $inc: { amount: 0.25 }, $mul: { n: %d } }" % by,
                 f"amount = coalesce(amount, 0) + 25, n = coalesce(n, 0) * {by}"),
                ("{ $min: { n: %d }, $unset: { day: true } }" % by,
                 f"n = case when n is null or n > {by} then {by} else n end, day = null"),
                ("{ $max: { weight: 2.5 } }",
                 "weight = case when weight is null or weight < 2.5 then 2.5 else weight end"),
            ]
        operators, assignments = self.dice.choice(choices)
        self.database.run("update", table, where, operators)
        self.sql.execute(f"update {table} set {assignments} where {condition}")

    def delete(self, table):
        where, condition = self.pick(table)
        self.database.run("delete", table, where)
        self.sql.execute(f"delete from {table} where {condition}")
        rows = self.sql.connections["sqlite"].execute(f"select id from {table}").fetchall()
        self.ids[table] = [row[0] for row in rows]

    def step(self):
        table = self.dice.choice(["Customer", "Item", "Item", "Item"])
        what = self.dice.choice([self.create, self.create, self.update, self.update, self.delete])
        what(table)

    def compare(self, when):
        for view in VIEWS:
            rows = self.database.rows(view)
            for dialect, wanted in self.sql.rows(view):
                got = [{("id" if name == "$id" else name): value for name, value in row.items()}
                       for row in rows]
                if wanted and "id" not in wanted[0]:
                    for row in got:
                        row.pop("id", None)
                equal(canonical(got), canonical(wanted), f"{when}: {view} as {dialect} has it")


for seed in SEEDS:
    program = Program(seed)
    program.create("Customer")
    for commit in range(1, COMMITS + 1):
        program.step()
        if commit % CHECK_EVERY == 0:
            program.compare(f"seed {seed}, commit {commit}")
finish()
