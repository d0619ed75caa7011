#!/usr/bin/env python3
"""Writes performance.md and its plots from the figures of a bench, and of a run beside the peers if there is one:

    cargo run --release -p s3-tests --bin bench -- --json > docs/performance/bench.json
    (peers)/bench.py run && cp (peers)/results/macro.tsv docs/performance/peers.tsv     # see tests/bench-peers
    docs/performance.py
"""
import json
import statistics
from html import escape
from pathlib import Path

DOCS = Path(__file__).resolve().parent
DATA = DOCS / "performance"
COLOURS = {
    "hyper": "#9aa5b1",
    "ureq": "#9aa5b1",
    "s3-tokio": "#2563eb",
    "s3-async-std": "#0d9488",
    "s3-blocking": "#d97706",
}
WORKLOADS = {
    "get-small-1": "GET of 1 KiB, one at a time",
    "get-small-64": "GET of 1 KiB, 64 in flight",
    "put-small-1": "PUT of 1 KiB, one at a time",
    "put-small-64": "PUT of 1 KiB, 64 in flight",
    "put-signed-64": "PUT of 1 KiB with signed payload, 64 in flight",
    "get-large": "GET of {size}",
    "upload-large": "Multipart upload of {size} from a file",
    "download-large": "Ranged download of {size} into a file",
    "list": "LIST of {pages} pages",
}
PEERS = {
    "get-1k-c1": "GET of 1 KiB, one at a time",
    "get-1k-c64": "GET of 1 KiB, 64 in flight",
    "put-1k-c64": "PUT of 1 KiB, 64 in flight",
    "getstream-1g": "GET of 1 GiB",
    "upload-1g": "Multipart upload of 1 GiB from a file",
    "download-1g": "Ranged download of 1 GiB, dropped",
    "list-100k": "LIST of 100 pages",
}


def digits(number):
    """Three digits are all that such a figure is good for."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def seconds(number):
    for unit, factor in (("s", 1), ("ms", 1e3), ("µs", 1e6)):
        if number * factor >= 1 or unit == "µs":
            return f"{digits(number * factor)} {unit}"


def bars(title, groups, mark=None):
    """A plot: groups of bars, each a name, a figure and what to write beside it."""
    left, width, bar, gap = 290, 330, 16, 14
    scale = width / max(value for _, rows in groups for _, value, _ in rows)
    body, y = [], 34
    for name, rows in groups:
        middle = y + len(rows) * bar / 2 + 4
        body.append(f'<text x="{left - 8}" y="{middle:.0f}" text-anchor="end">{escape(name)}</text>')
        for client, value, text in rows:
            length = value * scale
            colour = COLOURS.get(client, "#b8c0c8")
            body.append(f'<rect x="{left}" y="{y}" width="{length:.1f}" height="{bar - 3}" fill="{colour}"/>')
            body.append(f'<text x="{left + length + 6:.1f}" y="{y + 11}">{escape(client)} {text}</text>')
            y += bar
        y += gap
    if mark is not None:
        x = left + mark * scale
        body.append(f'<path d="M{x:.1f} 28V{y - gap}" stroke="#1f2933" stroke-dasharray="3 3"/>')
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="800" height="{y}" viewBox="0 0 800 {y}" '
        'font-family="sans-serif" font-size="11" fill="#1f2933">'
        f'<rect width="800" height="{y}" fill="#fff"/><text x="10" y="18" font-size="13">{escape(title)}</text>'
    )
    return head + "\n" + "\n".join(body) + "\n</svg>\n"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def own(bench):
    scale = bench["scale"]
    names = {key: text.format(size=f"{scale['object'] >> 20} MiB", pages=scale["pages"]) for key, text in WORKLOADS.items()}
    rows = bench["rows"]
    drivers = [row for row in rows if row["client"] != row["floor"]]
    of = lambda key, rows: [row for row in rows if row["workload"] == key]
    plots = {
        "cpu": ("Processor time an operation, as a multiple of the floor's", list(WORKLOADS), "cpu_seconds_per_op"),
        "throughput": (
            "Throughput, as a share of the floor's",
            ["get-large", "upload-large", "download-large"],
            "ops_per_second",
        ),
    }
    for name, (title, keys, figure) in plots.items():
        ratio = lambda row: row["ratios"][figure]
        groups = [(names[key], [(r["client"], ratio(r), f"{ratio(r):.2f}") for r in of(key, drivers)]) for key in keys]
        (DATA / f"{name}.svg").write_text(bars(title, [group for group in groups if group[1]], mark=1))
    text = []
    for key in WORKLOADS:
        head = ["", "ops/s", "MB/s", "p50", "p99", "CPU an op", "peak MiB", "ops/s ratio", "CPU ratio", "memory ratio"]
        lines = [
            [
                row["client"],
                digits(row["ops_per_second"]),
                digits(row["mb_per_second"]) if row["mb_per_second"] else "",
                seconds(row["p50_seconds"]),
                seconds(row["p99_seconds"]),
                seconds(row["cpu_seconds_per_op"]),
                f"{row['peak_bytes'] / (1 << 20):.1f}",
                *(f"{row['ratios'][name]:.2f}" for name in ("ops_per_second", "cpu_seconds_per_op", "peak_bytes")),
            ]
            for row in of(key, rows)
        ]
        text.append(f"### {names[key]}\n\n{table(head, lines)}")
    return "\n\n".join(text)


def peers(path):
    lines = [line.split("\t") for line in path.read_text().splitlines()]
    samples = {}
    for line in lines[1:]:
        row = dict(zip(lines[0], line))
        samples.setdefault((row["workload"], row["client"], row["variant"]), []).append(row)
    median = lambda rows, name: statistics.median(float(row[name]) for row in rows)
    text, groups = [], []
    for key, name in PEERS.items():
        clients = {of[1:]: rows for of, rows in samples.items() if of[0] == key}
        order = sorted(clients, key=lambda client: median(clients[client], "cpu_us_op"))
        lines = [
            [
                client if variant == "default" else f"{client} (lean)",
                digits(median(rows, "ops_s")),
                digits(median(rows, "mb_s")),
                seconds(median(rows, "cpu_us_op") / 1e6),
                f"{median(rows, 'rss_mib'):.1f}",
            ]
            for client, variant in order
            for rows in [clients[client, variant]]
        ]
        if not lines:
            continue
        text.append(f"### {name}\n\n{table(['', 'ops/s', 'MB/s', 'CPU an op', 'peak MiB'], lines)}")
        if key.endswith("c64"):
            cpu = lambda client: median(clients[client], "cpu_us_op")
            shown = [client for client in order if client[1] == "default"]
            groups.append((name, [(c[0], cpu(c), seconds(cpu(c) / 1e6)) for c in shown]))
    (DATA / "peers.svg").write_text(bars("Processor time an operation, beside the peers", groups))
    rounds = max(map(len, samples.values()))
    return f"Medians, rounds: {rounds}.\n\n![Processor time beside the peers](performance/peers.svg)\n\n" + "\n\n".join(text)


def main():
    bench = json.loads((DATA / "bench.json").read_text())
    machine, scale = bench["machine"], bench["scale"]
    placed = (
        "Client and origin use all processors, async runtimes with a thread for each"
        if bench["spread"]
        else "The origin has one processor to itself, the client another with a runtime of one thread"
    )
    memory = int(machine["memory"].split()[0]) >> 20
    page = f"""# Performance

How much the drivers cost beside the HTTP clients that they are built on. Written by `docs/performance.py` from the
figures in `docs/performance/`; do not edit by hand.

## Method

`cargo run --release -p s3-tests --bin bench` starts an origin on loopback, a process that looks at no signature and
makes up what it sends, and runs each workload with each client in turn, every time in a process of its own.
{placed}.

The floor moves the same bytes over as many connections without any idea of S3: hyper with its pool for the async
drivers, ureq with its own for the blocking one. It does what cannot be left out: it computes the same CRC64NVME of
large objects, reads and writes the same files in pieces, with signed payloads hashes them. A driver signs, retries if
it has to, times each phase out, reads heads and XML, and compares checksums on top of that.

- Large transfers go in parts of {scale['part'] >> 20} MiB, {scale['connections']} at a time, with a CRC64NVME, payload unsigned.
- CPU is user and system time of the client's process, after a warm-up for small objects. One upload, download or list
  is one operation.
- Peak memory is that of the whole process, program and runtime included.
- Rounds: {bench['rounds']}. Figures are their medians, ratios the medians of each round's ratio to the floor beside it. Times
  of another hour, or of a busier machine, are not comparable; ratios are, roughly.

Machine: {machine['processors']} × {machine['model']} ({machine['architecture']}), {memory} GiB, Linux {machine['kernel']}.

## Beside the floor

![Processor time](performance/cpu.svg)

![Throughput](performance/throughput.svg)

{own(bench)}
"""
    if (DATA / "peers.tsv").exists():
        page += f"""
## Beside the peers

Other clients for Rust in one harness, each with its defaults over plain HTTP, and where it says so ("lean") without payload
hashes and checksums that nobody asked for. `tests/bench-peers` holds our clients for it. By default ours sign the payload
over plain HTTP, as minio and object_store do and rusty-s3 does not. It takes an hour to build them all, so that these figures are
taken less often than those above: compare them with each other. {peers(DATA / "peers.tsv")}
"""
    (DOCS / "performance.md").write_text(page)


if __name__ == "__main__":
    main()
