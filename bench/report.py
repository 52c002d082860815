#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tables, results.json and plots of what bench/run measured, and holds the ratios against targets.

    report.py MEASUREMENTS.jsonl OUT

Ends with 1 when a ratio falls short of its target, with 3 when none does but some cannot be told from noise.
"""
import collections
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys

NOISE = 0.25  # a measurement is noisy whose middle half spreads over more than this share of its median
QUIET = 10  # percent of a core that others may use before the start; above it all measurements are noisy


STAGES = ("inflate", "hash", "parse", "hand", "write", "sync")  # as `cowsnap stages` names them


class Results:
    """Measurements by what they are of; each figure a list, one value a round."""

    def __init__(self, path):
        self.figures = collections.defaultdict(list)
        self.machine = {}
        with open(path) as lines:
            for line in lines:
                getattr(self, "take_" + json.loads(line)["part"])(json.loads(line))

    def take_machine(self, m):
        self.machine = m

    def take_unpack(self, m):
        for figure in ("ms", "sync_ms", "cpu_ms", "daemon_peak_kib"):
            self.figures["unpack", m["image"], m["who"], figure].append(m[figure])

    def take_stages(self, m):
        self.figures["stages", m["image"], "layers"].append(m["figures"]["layers"])
        for stage in m["figures"]["stages"]:
            self.figures["stages", m["image"], stage["name"], "processor"].append(stage["processor_ns"] / 1e6)
            self.figures["stages", m["image"], stage["name"], "waited"].append(stage["waited_ns"] / 1e6)

    def take_floor(self, m):
        # Inflating a layer is one thread's work, and containerd 1.7 unpacks the layers of an image one after the other.
        for figure, calls in (("charged", m["calls_ms"]), ("machine", m["machine_ms"])):
            shared = (m["inflate_ms"] + m["hash_ms"] + calls) / self.machine["cores"]
            self.figures["floor", m["image"], figure].append(max(m["inflate_ms"], shared))
        for figure in ("inflate_ms", "hash_ms", "parse_ms", "calls_ms", "machine_ms", "bytes", "entries"):
            self.figures["floor", m["image"], figure].append(m[figure])

    def take_calls(self, m):
        key = ("calls", m["setting"], m["target"], m["snapshotter"], m["mode"], m["clients"])
        if "cycles_per_s" in m:
            self.figures[key + ("cycles_per_s",)].append(m["cycles_per_s"])
        for call, latency in m["calls"].items():
            for figure in ("p50_ms", "p99_ms"):
                self.figures[key + (call, figure)].append(latency[figure])

    def take_thin(self, m):
        if m["mode"] == "unpack":
            self.figures["thin", "unpack", m["snapshotter"], "ms"].append(m["ms"])
            self.figures["thin", "unpack", m["snapshotter"], "sync_ms"].append(m["sync_ms"])
            return
        key = ("thin", "cycle", m["snapshotter"], m["clients"])
        self.figures[key + ("cycles_per_s",)].append(m["cycles_per_s"])
        for call, latency in m["calls"].items():
            self.figures[key + (call,)].append(latency["p50_ms"])

    def take_costs(self, m):
        self.figures["costs", m["cores"], m["entries"], m["bytes"]].append(m["ms"])

    def take_engines(self, m):
        for figure in ("processor_ms", "ms"):
            self.figures["engines", m["system"], m["engine"], m["writers"], figure].append(m[figure])

    def take_growth(self, m):
        count = m["snapshots"]
        self.figures["growth", count, "start_ms"].append(m["start_ms"])
        self.figures["growth", count, "resident_kib"].append(m["resident_kib"])
        self.figures["growth", count, "list_ms"].append(m["list"]["p50_ms"])
        for call, latency in m["calls"].items():
            self.figures["growth", count, call].append(latency["p50_ms"])

    def median(self, *key):
        values = self.figures.get(key)
        return statistics.median(values) if values else None

    def middle(self, *key):
        """Least and most of the middle half of the rounds (of fewer than four: of all)."""
        values = sorted(self.figures[key])
        return values[len(values) // 4], values[-1 - len(values) // 4]

    def noisy(self, *key):
        if key not in self.figures:
            return False
        low, high = self.middle(*key)
        return high - low > NOISE * self.median(*key)

    def busy(self):
        return self.machine["busy_percent"] > QUIET

    def counts(self):
        return sorted({key[1] for key in self.figures if key[0] == "growth"})

    def images(self):
        return sorted({key[1] for key in self.figures if key[0] == "unpack"})


def solve(rows, values):
    """Least squares by the normal equations; ROWS of equal length, few columns."""
    n = len(rows[0])
    matrix = [[sum(row[i] * row[k] for row in rows) for k in range(n)] + [sum(row[i] * v for row, v in zip(rows, values))]
              for i in range(n)]
    for i in range(n):
        pivot = max(range(i, n), key=lambda k: abs(matrix[k][i]))
        matrix[i], matrix[pivot] = matrix[pivot], matrix[i]
        for k in range(n):
            if k != i:
                factor = matrix[k][i] / matrix[i][i]
                matrix[k] = [a - factor * b for a, b in zip(matrix[k], matrix[i])]
    return [matrix[i][n] / matrix[i][i] for i in range(n)]


class CostModel:
    """Milliseconds of a layer = LAYER + ENTRY * entries + MIB * MiB of files, fitted by relative error."""

    def __init__(self, r, cores):
        self.points = [(key[2], key[3] / 2**20, statistics.median(values)) for key, values in sorted(r.figures.items(), key=str)
                       if key[0] == "costs" and key[1] == cores]
        self.layer, self.entry, self.mib = solve([[1 / ms, entries / ms, mib / ms] for entries, mib, ms in self.points],
                                                 [1] * len(self.points))

    def of(self, layers, entries, mib):
        return self.layer * layers + self.entry * entries + self.mib * mib

    def worst(self):
        return max(abs(self.of(1, entries, mib) / ms - 1) for entries, mib, ms in self.points)


def quotient(a, b=1):
    return a / b


class Verdicts:
    """Each ratio beside its target: met, short, or noisy, which is a miss that the rounds' own spread may explain.

    FIGURES are the keys of what a value is made of, FORMULA makes it of their medians; by default it is the figure
    itself, or the first by the second. A value of which a figure was not measured has no row.
    """

    def __init__(self, results):
        self.results = results
        self.rows = []

    def least(self, what, figures, target, unit="", formula=quotient):
        self.add(what, figures, target, unit, ">=", formula, lambda value: value >= target)

    def most(self, what, figures, target, unit="", formula=quotient):
        self.add(what, figures, target, unit, "<=", formula, lambda value: value <= target)

    def add(self, what, figures, target, unit, sign, formula, meets):
        medians = [self.results.median(*key) for key in figures]
        if not all(medians):
            return
        value = formula(*medians)
        verdict = "met" if meets(value) else "noisy" if self.explained_by_noise(figures, formula, meets) else "short"
        self.rows.append({"what": what, "value": round(value, 3), "target": target, "unit": unit, "sign": sign, "verdict": verdict})

    def explained_by_noise(self, figures, formula, meets):
        """Whether a figure is noisy, and the target within what the middle halves of the rounds give."""
        r = self.results
        return ((r.busy() or any(r.noisy(*key) for key in figures)) and
                any(meets(formula(*values)) for values in itertools.product(*(r.middle(*key) for key in figures))))

    def count(self, verdict):
        return sum(row["verdict"] == verdict for row in self.rows)

    def print(self):
        print("\nTargets")
        width = max(len(row["what"]) for row in self.rows)
        said = {"met": "", "short": " FALLS SHORT", "noisy": " too noisy to tell"}
        for row in self.rows:
            value = f"{row['value']:.3g}{row['unit']}"
            print(f"  {row['what']:<{width}}  {value:>10}  {row['sign']} {row['target']:g}{row['unit']:<4} {said[row['verdict']]}")

    def status(self):
        return 1 if self.count("short") else 3 if self.count("noisy") else 0


def judge_unpack(r, v):
    def ms(image, who):
        return "unpack", image, who, "ms"

    for image in [i for i in r.images() if i in ("gzip", "given")]:
        ours = ms(image, "cowsnap")
        v.least(f"unpack ({image}): built-in btrfs / cowsnap", [ms(image, "builtin-btrfs"), ours], 6, " x")
        v.least(f"unpack ({image}): overlayfs on ext4 / cowsnap", [ms(image, "overlayfs"), ours], 2.3, " x")
        v.least(f"unpack ({image}): overlayfs by walking / by cowsnap's differ",
                [ms(image, "overlayfs"), ms(image, "overlayfs-cowsnap")], 3, " x")
        v.most(f"unpack ({image}): cowsnap / floor", [ours, ("floor", image, "machine")], 1.3, " x")
        v.most(f"unpack ({image}): peak memory of the daemon", [("unpack", image, "cowsnap", "daemon_peak_kib")], 150, " MiB",
               lambda kib: kib / 1024)
    v.most("unpack: zstd / gzip", [ms("zstd", "cowsnap"), ms("zstd", "cowsnap-gzip")], 1, " x")
    v.least("unpack: one large file, dd / cowsnap", [ms("large", "dd"), ms("large", "cowsnap")], 0.8, " x")


def judge_calls(v):
    def cycles(setting, who, clients):
        return "calls", setting, "containerd", who, "cycle", clients, "cycles_per_s"

    def latency(mode, clients, call, figure, target="socket", who="cowsnap"):
        return "calls", "ext4", target, who, mode, clients, call, figure

    for clients, target in ((16, 2), (1, 1.3)):
        v.least(f"cycles on btrfs, {clients} clients: cowsnap / overlayfs",
                [cycles("btrfs", "cowsnap", clients), cycles("btrfs", "overlayfs", clients)], target, " x")
    for clients in (1, 16):
        v.least(f"cycles on ext4, {clients} clients: cowsnap / overlayfs",
                [cycles("ext4", "cowsnap", clients), cycles("ext4", "overlayfs", clients)], 0.5, " x")
    v.most("burst of 64 Prepares out of the stock, on ext4: cowsnap / overlayfs, p50",
           [latency("burst", 64, "prepare", "p50_ms", "containerd"),
            latency("burst", 64, "prepare", "p50_ms", "containerd", "overlayfs")], 1, " x")
    for call in ("stat", "mounts", "usage"):
        v.most(f"own socket, one client that only looks: {call}, p50", [latency("looks", 1, call, "p50_ms")], 0.15, " ms")
        v.most(f"own socket, one client: {call}, p50", [latency("calls", 1, call, "p50_ms")], 0.15, " ms")
    for call, target in (("commit", 0.6), ("remove", 0.6), ("prepare", 1)):
        v.most(f"own socket, one client: {call}, p50", [latency("calls", 1, call, "p50_ms")], target, " ms")
    v.most("own socket, 16 clients: prepare, p99", [latency("calls", 16, "prepare", "p99_ms")], 20, " ms")


def judge_engines(v):
    # "auto" takes plain calls on either system, and two writers or more. What differs by a twentieth is equal.
    for system in ("btrfs", "ext4"):
        v.most(f"engines, {system}, two writers: plain calls / io_uring, seconds",
               [("engines", system, engine, 2, "ms") for engine in ("plain", "io_uring")], 1.05, " x")


def judge_growth(r, v):
    counts = r.counts()
    if len(counts) < 2:
        return
    few, many = counts[0], counts[-1]

    def grown(figure):
        return [("growth", many, figure), ("growth", few, figure)]

    for call in ("prepare", "stat", "mounts", "usage", "commit", "remove"):
        v.most(f"{call}, p50 with {many} snapshots / with {few}", grown(call), 1.3, " x")
    v.most(f"List of {many}", [("growth", many, "list_ms")], 100, " ms", lambda ms: ms * max(10000 / many, 1))
    v.most(f"start with {many} snapshots", [("growth", many, "start_ms")], 1000, " ms")
    v.most("idle memory for each snapshot", grown("resident_kib"), 1, " KiB", lambda now, then: max(now - then, 0) / (many - few))


def judge_thin(v):
    def unpacked(who):
        return "thin", "unpack", who, "ms"

    def cycles(who, clients):
        return "thin", "cycle", who, clients, "cycles_per_s"

    v.most("dm-thin, unpack: cowsnap / built-in devmapper", [unpacked("cowsnap"), unpacked("devmapper")], 0.4, " x")
    v.most("dm-thin, unpack: cowsnap / overlayfs", [unpacked("cowsnap"), unpacked("overlayfs")], 1, " x")
    for clients in (1, 8):
        v.least(f"dm-thin, cycles, {clients} clients: cowsnap / built-in devmapper",
                [cycles("cowsnap", clients), cycles("devmapper", clients)], 15, " x")
        v.least(f"dm-thin, cycles, {clients} clients: cowsnap / overlayfs",
                [cycles("cowsnap", clients), cycles("overlayfs", clients)], 0.6, " x")


def table(title, head, rows):
    print(f"\n{title}")
    widths = [max(len(str(row[i])) for row in [head] + rows) for i in range(len(head))]
    for row in [head] + rows:
        print("  " + "  ".join(str(cell).ljust(w) if i == 0 else str(cell).rjust(w) for i, (cell, w) in enumerate(zip(row, widths))))


def figure(r, *key, scale=1.0, digits=1):
    value = r.median(*key)
    return "" if value is None else f"{value * scale:.{digits}f}{' ~' if r.noisy(*key) else ''}"


def print_tables(r):
    for image in r.images():
        who = sorted({key[2] for key in r.figures if key[0] == "unpack" and key[1] == image})
        rows = [[w, figure(r, "unpack", image, w, "ms", scale=1e-3, digits=2),
                 figure(r, "unpack", image, w, "sync_ms", scale=1e-3, digits=2),
                 figure(r, "unpack", image, w, "cpu_ms", scale=1e-3, digits=2)] for w in who]
        if r.median("floor", image, "machine"):
            rows.append(["(floor)", figure(r, "floor", image, "machine", scale=1e-3, digits=2), "", ""])
        table(f"Unpack, image {image}", ["who", "seconds", "then sync", "processor s"], rows)
        rows = [[stage] + [figure(r, "stages", image, stage, kind, scale=1e-3, digits=2) for kind in ("processor", "waited")]
                for stage in STAGES if r.median("stages", image, stage, "waited") is not None]
        if rows:
            table(f"Stages of cowsnap, image {image}: seconds", ["stage", "processor", "waited"], rows)
    for setting in ("btrfs", "ext4"):
        keys = sorted({key[:6] for key in r.figures if key[0] == "calls" and key[1] == setting})
        rows = [[f"{k[3]} by {k[2]}, {k[4]}, {k[5]} clients", figure(r, *k, "cycles_per_s")] +
                [figure(r, *k, call, "p50_ms", digits=2) for call in ("prepare", "stat", "mounts", "usage", "health", "commit", "remove")]
                for k in keys]
        if rows:
            table(f"Calls, {setting}: cycles a second, and p50 in ms",
                  ["who", "cycles/s", "prepare", "stat", "mounts", "usage", "(health)", "commit", "remove"], rows)
    rows = [[n] + [figure(r, "growth", n, f, digits=2) for f in
                   ("prepare", "stat", "mounts", "usage", "health", "commit", "remove", "list_ms", "start_ms", "resident_kib")] for n in r.counts()]
    if rows:
        table("Growth: p50 in ms, by snapshots present",
              ["snapshots", "prepare", "stat", "mounts", "usage", "(health)", "commit", "remove", "list", "start", "resident KiB"], rows)
    print_costs(r)
    print_engines(r)
    print_thin(r)
    if any(r.noisy(*key) for key in r.figures):
        print(f"\n  ~ the middle half of the rounds (of two or three, all) lies more than {NOISE:.0%} apart")


def print_costs(r):
    cores = sorted({key[1] for key in r.figures if key[0] == "costs"})
    if not cores:
        return
    models = [CostModel(r, n) for n in cores]
    table("Costs: a layer until it is on the disk, by a fit", ["process on cores", "ms a layer", "us an entry", "ms a MiB", "worst error"],
          [[n, f"{m.layer:.0f}", f"{m.entry * 1e3:.1f}", f"{m.mib:.2f}", f"{m.worst():.0%}"] for n, m in zip(cores, models)])
    image = next((i for i in ("given", "gzip") if r.median("floor", i, "entries")), None)
    layers = image and r.median("stages", image, "layers")
    if layers:
        took = r.median("unpack", image, "cowsnap", "ms")
        said = models[-1].of(layers, r.median("floor", image, "entries"), r.median("floor", image, "bytes") / 2**20)
        print(f"  image {image}: the fit says {said / 1e3:.2f} s for {layers:g} layers, containerd took {took / 1e3:.2f} s")


def print_engines(r):
    keys = sorted(key[1:4] for key in r.figures if key[0] == "engines" and key[4] == "ms")
    if keys:
        table("Engines: one layer of many small files, in memory", ["system", "engine", "writers", "seconds", "processor s"],
              [[*key] + [figure(r, "engines", *key, f, scale=1e-3, digits=2) for f in ("ms", "processor_ms")] for key in keys])


def print_thin(r):
    who = [w for w in ("overlayfs", "devmapper", "cowsnap") if r.median("thin", "unpack", w, "ms")]
    if not who:
        return
    table("dm-thin: unpacking a Debian base", ["who", "seconds", "then sync"],
          [[w] + [figure(r, "thin", "unpack", w, key, scale=1e-3, digits=2) for key in ("ms", "sync_ms")] for w in who])
    calls = ("prepare", "stat", "usage", "commit", "remove")
    table("dm-thin: cycles a second, and p50 in ms", ["who", "cycles/s", *calls],
          [[f"{w}, {n} clients"] + [figure(r, "thin", "cycle", w, n, key, digits=2) for key in ("cycles_per_s", *calls)]
           for n in (1, 8) for w in who])


def plot(out, name, script, rows):
    """PNG and SVG by gnuplot, of a table that SCRIPT calls DATA."""
    data = os.path.join(out, name + ".dat")
    with open(data, "w") as file:
        file.writelines(" ".join(str(cell) for cell in row) + "\n" for row in rows)
    for terminal, ending in (("pngcairo size 900,500", "png"), ("svg size 900,500", "svg")):
        subprocess.run(["gnuplot"], input=f"set terminal {terminal} font 'sans,11'\nset output '{os.path.join(out, name)}.{ending}'\n"
                       f"DATA = '{data}'\nset grid ytics\nset border 3\nset tics nomirror\n{script}\n", text=True, check=True)
    os.remove(data)


def plot_all(r, out):
    for image in [i for i in r.images() if i in ("gzip", "given")]:
        who = [w for w in ("native", "builtin-btrfs", "overlayfs", "overlayfs-cowsnap", "cowsnap") if r.median("unpack", image, w, "ms")]
        rows = [[f'"{w}"', r.median("unpack", image, w, "ms") / 1e3, r.median("unpack", image, w, "sync_ms") / 1e3] for w in who]
        plot(out, f"unpack-{image}", "set style data histograms\nset style histogram rowstacked\nset style fill solid 0.8\nset boxwidth 0.6\n"
             "set yrange [0:]\nset ylabel 'seconds'\nset title 'Unpack of the image, and the sync after it'\n"
             "plot DATA using 2:xtic(1) title 'until it answers', '' using 3 title 'sync after it'", rows)
        least = {"inflate": "inflate_ms", "hash": "hash_ms", "parse": "parse_ms", "write": "machine_ms"}
        if r.median("floor", image, "inflate_ms") and r.median("stages", image, "inflate", "waited") is not None:
            plot(out, f"stages-{image}", "set style data histograms\nset style fill solid 0.8\nset yrange [0:]\nset ylabel 'seconds'\n"
                 "set title 'Unpacking by stage: what its threads ran and waited, and the least it takes'\n"
                 "plot DATA using 2:xtic(1) title 'ran', '' using 3 title 'waited', '' using 4 title 'floor'",
                 [[f'"{stage}"'] + [r.median("stages", image, stage, kind) / 1e3 for kind in ("processor", "waited")] +
                  [(r.median("floor", image, least[stage]) if stage in least else 0) / 1e3] for stage in STAGES])
    if len(r.counts()) > 1:
        calls = ("prepare", "stat", "usage", "commit", "remove")
        plot(out, "growth", "set logscale x\nset yrange [0:]\nset xlabel 'snapshots present'\nset ylabel 'p50, ms'\n"
             "set title 'Cost of a call against the number of snapshots'\nset key outside\nplot " +
             ", ".join(f"DATA using 1:{i + 2} with linespoints pointtype 7 title '{call}'" for i, call in enumerate(calls)),
             [[n] + [r.median("growth", n, call) for call in calls] for n in r.counts()])
    for setting in ("btrfs", "ext4"):
        who = [w for w in ("overlayfs", "btrfs", "cowsnap") if r.median("calls", setting, "containerd", w, "cycle", 1, "cycles_per_s")]
        if who:
            plot(out, f"throughput-{setting}", "set style data histograms\nset style fill solid 0.8\nset yrange [0:]\nset ylabel 'cycles a second'\n"
                 f"set title 'Prepare, Stat, Usage, Commit, Remove through containerd, on {setting}'\n"
                 "plot DATA using 2:xtic(1) title '1 client', '' using 3 title '16 clients'",
                 [[f'"{w}"'] + [r.median("calls", setting, "containerd", w, "cycle", n, "cycles_per_s") for n in (1, 16)] for w in who])


def main():
    path, out = sys.argv[1:]
    r = Results(path)
    v = Verdicts(r)
    judge_unpack(r, v)
    judge_calls(v)
    judge_engines(v)
    judge_growth(r, v)
    judge_thin(v)
    print(f"{r.machine['cores']} cores, Linux {r.machine['kernel']}")
    print_tables(r)
    if v.rows:
        v.print()
    if r.busy():
        print(f"\nwarning: others used {r.machine['busy_percent']} % of a core before the start: too noisy to judge a miss within the rounds' spread")
    with open(os.path.join(out, "results.json"), "w") as file:
        json.dump({"machine": r.machine, "targets": v.rows, "measurements": [
            {"of": list(key), "median": statistics.median(values), "values": values} for key, values in sorted(r.figures.items(), key=str)]},
            file, indent=1)
    if shutil.which("gnuplot"):
        plot_all(r, out)
    print(f"\n{v.count('met')} of {len(v.rows)} targets met, {v.count('short')} fall short, {v.count('noisy')} too noisy to tell; "
          f"figures and plots are in {out}")
    return v.status()


if __name__ == "__main__":
    sys.exit(main())
