"""Turns the JSON lines of the benchmark into a table: our figure, the peer's, the ratio, memory (ours / the peer's, MiB),
the goal. Rates are of wall time; the ratio of CPU time (user and system) stands below, because it is the steadier one on
a machine that others use too."""
import json
import sys

found = {}
for line in map(json.loads, open(sys.argv[1], encoding="utf-8")):
    before = found.get(line["phase"])  # of several runs the best
    if before is None or line.get("seconds", 0) < before.get("seconds", 0):
        found[line["phase"]] = line
rows = [("", "ours", "peer", "ratio", "memory", "goal")]


def add(name, ours="", peer="", ratio="", memory="", goal=""):
    rows.append((name, ours, peer, ratio, memory, goal))


def have(*phases):
    return all(phase in found for phase in phases)


def rate(line, seconds="seconds"):
    return line.get("events", line.get("rows", 0)) / max(line[seconds], 1e-9)


def best(*phases):
    return max((found[phase] for phase in phases if phase in found), key=rate, default=None)


def memory(ours, peer=None):
    return f"{ours['peak_mib']:,.0f}" + (f" / {peer['peak_mib']:,.0f}" if peer else "")


def rates(name, ours, peer, of, goal=""):
    """A line of wall time, and one of CPU time when both know it."""
    if peer is None:
        add(name, f"{rate(ours):,.0f}", memory=memory(ours), goal=goal)
        return
    add(f"{name} ({of} {peer['version']})", f"{rate(ours):,.0f}", f"{rate(peer):,.0f}",
        f"{rate(ours) / rate(peer):.2f}x", memory(ours, peer), goal)
    if "cpu_seconds" in ours and "cpu_seconds" in peer:
        mine, theirs = rate(ours, "cpu_seconds"), rate(peer, "cpu_seconds")
        add("  per second of CPU", f"{mine:,.0f}", f"{theirs:,.0f}", f"{mine / theirs:.2f}x")


for mode, goal in (("json", ">= 1.50x"), ("typed", "")):
    if have("bulk", f"duckdb-{mode}"):
        rates(f"bulk events/s, {mode}", found["bulk"], found[f"duckdb-{mode}"], "DuckDB", goal)
if have("bulk"):
    add("  memory", f"{found['bulk']['peak_mib']:,.0f} MiB", goal="<= 1,024 MiB")
if have("live"):
    rates("events/s in commits of 1000", found["live"], found.get("chdb-live"), "chDB", ">= 200,000/s")
    add("  p50 / p99 ms of a commit", f"{found['live']['p50_us'] / 1e3:.2f} / {found['live']['p99_us'] / 1e3:.2f}")
if have("single"):
    add("commits of one event, p50 us", f"{found['single']['p50_us']:.0f}", goal="<= 100 us")
    add("  p99 us", f"{found['single']['p99_us']:.0f}", goal="<= 1,000 us")
if have("busy"):
    add("  p99.9 us beside checkpoints", f"{found['busy']['p999_us']:.0f}", goal="<= 2,000 us")
if have("open"):
    opened = found["open"]
    add("open 1 M events, ms", f"{opened['open_ms']:.1f}", goal="<= 100 ms")
    add("find by $id, first / p50 us", f"{opened['find_first_us']:.0f} / {opened['find_p50_us']:.0f}", goal="<= 1,000 us")
    add("empty refresh, us", f"{opened['empty_refresh_us']:.2f}", goal="<= 50 us")

for views in (1, 10):
    if have(f"groups-{views}"):
        peer = best(f"chdb-json-{views}", f"chdb-tabs-{views}")
        rates(f"orders/s, {views} grouped view" + "s" * (views > 1), found[f"groups-{views}"], peer, "chDB", ">= 4.00x")
if have("exact"):
    peer = best("chdb-json-1", "chdb-tabs-1")
    add("exact after updates and deletes", "yes" if found["exact"]["differences"] == 0 else "NO",
        "" if peer is None else "yes" if peer["follows_changes"] else "no", goal="yes")

for phase, line in found.items():
    if phase.startswith("load-"):
        rates(f"orders/s into files and three views, {line['rows']:,}", line, None, "")
if have("build"):
    line, peer = found["build"], found.get("duckdb-build")
    add("grouped view from nothing, 10x orders, s", f"{line['seconds']:.3f}", f"{peer['seconds']:.3f}" if peer else "",
        f"{line['seconds'] / peer['seconds']:.2f}x" if peer else "", memory(line, peer), "<= 1.00x, memory <= 2x")
    add("  CPU s", f"{line['cpu_seconds']:.3f}", f"{peer['cpu_seconds']:.3f}" if peer else "",
        f"{line['cpu_seconds'] / peer['cpu_seconds']:.2f}x" if peer else "")
if have("refresh"):
    line, peer = found["refresh"], found.get("duckdb-build")
    anew = peer["seconds"] * 1e3 if peer else None
    count = f"{line['rows']:,} orders"
    for part, name, goal in (("one", "1 %", ">= 20.00x"), ("ten", "10 %", ">= 0.83x"), ("all", "100 %", ">= 0.83x")):
        mib = f"+{line[part + '_mib']:,.0f}" if part + "_mib" in line else ""
        add(f"refresh after {name} of {count} changed, ms ({line[part]})", f"{line[part + '_ms']:,.1f}",
            f"{anew:,.1f}" if peer else "", f"{anew / line[part + '_ms']:.2f}x" if peer else "",
            mib + (f" / +{peer['peak_mib'] - peer['base_mib']:,.0f}" if mib and peer else ""), goal)
    add(f"  the first one after 1 %, ms ({line['first']})", f"{line['first_ms']:,.1f}", f"{anew:,.1f}" if peer else "",
        f"{anew / line['first_ms']:.2f}x" if peer else "", goal=">= 0.83x")
    add("  computed anew, ms", f"{line['full_ms']:,.1f}", memory=f"+{line['full_mib']:,.0f}")
    add("refresh of what is fresh, us", f"{line['empty_us']:.2f}", goal="<= 50 us")
    alone = line["fresh_read_ms"] + line["one_ms"]
    add("answer of now with 1 % unseen, ms (read + refresh)", f"{line['behind_read_ms']:,.1f}", f"{alone:,.1f}",
        f"{line['behind_read_ms'] / alone:.2f}x", goal="<= 2.00x")
    add("exact after all of them", "yes" if line["differences"] == 0 else "NO", goal="yes")
mixes = sorted((line for phase, line in found.items() if phase.startswith("mix-")),
               key=lambda line: int(line["phase"].split("-")[1]))
for line in mixes:
    count = f"{int(line['phase'].split('-')[1]):,} orders"
    add(f"100 changes a commit, us, {count} (cold)", f"{line['warm_us']:,.0f} ({line['cold_us']:,.0f})", memory=memory(line))
    add(f"a customer of 1000 orders, ms, {count} (cold)",
        f"{line['customer_ms']:.2f} ({line['customer_cold_ms']:.2f})", goal="<= 5 ms")
if len(mixes) == 2:
    add("  large table against small", ratio=f"{mixes[1]['warm_us'] / mixes[0]['warm_us']:.2f}x", goal="<= 1.30x")
if have("single-update"):
    line, peer = found["single-update"], found.get("postgres-update")
    add("one update a commit, 3 views, p50 us", f"{line['p50_us']:.0f}", memory=memory(line), goal="<= 120 us")
    add("  beside a bare write and sync", f"{line['p50_us']:.0f}", f"{line['bare_p50_us']:.0f}",
        f"{line['p50_us'] / line['bare_p50_us']:.2f}x")
    if peer:
        add(f"  commits/s (PostgreSQL {peer['version']}, triggers)", f"{1e6 / line['mean_us']:,.0f}",
            f"{peer['commits_per_s']:,}", f"{1e6 / line['mean_us'] / peer['commits_per_s']:.2f}x", goal=">= 5.00x")

if have("crash"):
    line = found["crash"]
    add(f"back after a kill, log of {line['log_mib']:,.0f} MiB, s", f"{line['seconds']:.2f}", memory=memory(line), goal="<= 5 s")
if have("replay"):
    line = found["replay"]
    per_second = line["replayed"] / line["seconds"]
    add(f"  no checkpoint in {line['log_mib']:,.0f} MiB, s", f"{line['seconds']:.2f}", memory=memory(line), goal="<= 5 s")
    add("  events/s replayed (per second of CPU)", f"{per_second:,.0f} ({line['replayed'] / line['cpu_seconds']:,.0f})",
        goal=">= 500,000/s")
if have("reopen"):
    line = found["reopen"]
    add(f"open {line['rows']:,} orders after a clean close, ms", f"{line['p50_ms']:.1f}", goal="<= 100 ms")
if have("update"):
    line = found["update"]
    add("updates/s in commits of 1000, 2 views", f"{line['rows'] / line['seconds']:,.0f}", memory=memory(line))
    add("  bytes written per byte given as JSON", f"{line['written_mib'] / line['given_mib']:.2f}")
    add("  tables' files per live byte, after (at most)", f"{line['tables_mib'] / line['live_mib']:.2f} ({line['most_ratio']:.2f})",
        goal="<= 2.00")
for phase, name in (("load70", "one update a commit at 70 % beside checkpoints"), ("bury", "  while 1 GiB is deleted")):
    if have(phase):
        line = found[phase]
        add(f"{name}, p50 / p99 / p99.9 us", f"{line['p50_us']:.0f} / {line['p99_us']:.0f} / {line['p999_us']:.0f}")
        add("  the longest, ms", f"{line['max_us'] / 1e3:.2f}", goal="<= 10 ms")
if have("spill"):
    line = found["spill"]
    add(f"{line['groups']:,} groups in {line['budget_mib']:.0f} of {line['needed_mib']:.0f} MiB, times slower",
        f"{line['seconds'] / line['enough_seconds']:.2f}x", goal="<= 5.00x")

widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
for row in rows:
    print("  ".join(cell.ljust(width) if k == 0 else cell.rjust(width)
                    for k, (cell, width) in enumerate(zip(row, widths))).rstrip())
