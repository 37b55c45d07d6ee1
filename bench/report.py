"""Turns the JSON lines of the benchmark into a table: our figure, the peer's, the ratio, the goal."""
import json
import sys

found = {line["phase"]: line for line in map(json.loads, open(sys.argv[1]))}


def rate(phase):
    return found[phase]["events"] / found[phase]["seconds"]


rows = [("", "ours", "peer", "ratio", "goal")]


def add(name, ours, peer="", ratio="", goal=""):
    rows.append((name, ours, peer, ratio, goal))


ours = rate("bulk")
for mode, goal in (("json", ">= 1.50x"), ("typed", "")):
    peer = rate(f"duckdb-{mode}")
    version = found[f"duckdb-{mode}"]["version"]
    add(f"bulk, events/s (DuckDB {version}, {mode})", f"{ours:,.0f}", f"{peer:,.0f}", f"{ours / peer:.2f}x", goal)
add("bulk, peak memory MiB", f"{found['bulk']['peak_mib']:,.0f}", f"{found['duckdb-json']['peak_mib']:,}",
    f"{found['bulk']['peak_mib'] / found['duckdb-json']['peak_mib']:.2f}x", "<= 1024")
live, single, busy, opened = (found[phase] for phase in ("live", "single", "busy", "open"))
add("1000-event commits, events/s", f"{live['events_per_s']:,.0f}", goal=">= 200,000")
add("  p50 / p99 of a commit, ms", f"{live['p50_us'] / 1e3:.2f} / {live['p99_us'] / 1e3:.2f}")
add("one-event commits, p50 us", f"{single['p50_us']:.0f}", goal="<= 100")
add("  p99 us", f"{single['p99_us']:.0f}", goal="<= 1,000")
add("  p99.9 us beside checkpoints", f"{busy['p999_us']:.0f}", goal="<= 2,000")
add("open 1 M events, ms", f"{opened['open_ms']:.1f}", goal="<= 100")
add("find by $id, first / p50 us", f"{opened['find_first_us']:.0f} / {opened['find_p50_us']:.0f}", goal="<= 1,000")
add("empty refresh, us", f"{opened['empty_refresh_us']:.2f}", goal="<= 50")

widths = [max(len(row[k]) for row in rows) for k in range(5)]
for row in rows:
    print("  ".join(cell.ljust(width) if k == 0 else cell.rjust(width)
                    for k, (cell, width) in enumerate(zip(row, widths))))
