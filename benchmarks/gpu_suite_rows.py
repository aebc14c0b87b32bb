"""Rows of the GPU suite, the result of each part, and the table that a person reads."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

_COLUMNS = ("part", "what", "precision", "seconds (range)", "speed", "memory before / peak, MiB", "TFLOP/s", "MFU", "differences")


@dataclass(frozen=True, kw_only=True, slots=True)
class SuiteOptions:
    """What is asked of every part."""

    device: str
    toy: bool = False  # sizes at which all parts together take seconds on a CPU
    repeats: int = 3  # of what is timed
    checkpoint: str | None = None  # weights of CoTracker3's offline model; None: by formula
    peak_tflops: float | None = None  # of the device in bfloat16; None: that of a known card


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One thing that was measured. What was not measured is None or empty."""

    what: str
    precision: str
    seconds: Mapping[str, float] | None = None  # median, min, max
    speed: float | None = None  # times that of `against`
    against: str | None = None
    memory: Mapping[str, float] = field(default_factory=dict)  # weights_mib: before the first call; peak_mib
    tflops_per_s: float | None = None
    mfu: float | None = None  # share of the device's peak
    differences: Mapping[str, float] = field(default_factory=dict)  # from `against`, or from the truth
    details: Mapping[str, Any] = field(default_factory=dict)  # for the JSON alone
    fault: str | None = None  # why the figures cannot be right


@dataclass(frozen=True, kw_only=True, slots=True)
class PartResult:
    """Rows of one part, and the error that ended it, if any."""

    part: str
    seconds: float  # start of its process included
    rows: tuple[Row, ...] = ()
    error: str | None = None  # what it is, then a line break and all that there is to say of it
    machine: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_table(cls, table: Mapping[str, Any]) -> "PartResult":
        """From what `asdict` made of one."""
        return cls(**{**table, "rows": tuple(Row(**row) for row in table["rows"])})

    def faults(self) -> Iterator[str]:
        """Everything that is wrong with it."""
        if self.error is not None:
            yield f"{self.part}: {self.error}"
        yield from (f"{self.part}, {row.what}: {row.fault}" for row in self.rows if row.fault is not None)


def report_table(options: SuiteOptions, results: Sequence[PartResult]) -> dict[str, Any]:
    """The whole result as a JSON object."""
    return {
        "what": "GPU suite" + (" at toy sizes" if options.toy else ""),
        "options": asdict(options),
        "machine": next((result.machine for result in results if result.machine), {}),
        "seconds": round(sum(result.seconds for result in results), 1),
        "parts": [asdict(result) for result in results],
        "faults": [fault for result in results for fault in result.faults()],
    }


def report_text(options: SuiteOptions, results: Sequence[PartResult]) -> str:
    """The same as Markdown."""
    table = report_table(options, results)
    machine = ", ".join(f"{name} {value}" for name, value in table["machine"].items() if value is not None)
    lines = [
        f"# {table['what']}",
        "",
        f"{machine or 'no part came so far as to name the machine'}; {len(results)} parts in {table['seconds']:g} s.",
        "",
        _line(_COLUMNS),
        _line(["---"] * len(_COLUMNS)),
    ]
    for result in results:
        lines += [_line(_cells(result.part, row)) for row in result.rows]
        if result.error is not None:
            lines.append(_line([result.part, "**failed**, see below", *[""] * (len(_COLUMNS) - 2)]))
    if any(row.mfu is None and row.tflops_per_s is not None and row.precision == "bfloat16" for result in results for row in result.rows):
        lines += ["", "No MFU: the device's peak in bfloat16 is not known; give it by `--peak-tflops`."]
    lines += ["", f"**{len(table['faults'])} failed:**" if table["faults"] else "Nothing failed.", ""]
    lines += [f"- {fault.splitlines()[0]}" for fault in table["faults"]]
    return "\n".join(lines).rstrip() + "\n"


def _cells(part: str, row: Row) -> list[str]:
    seconds, memory = row.seconds, row.memory
    return [
        part,
        row.what if row.fault is None else f"{row.what} **(fault, see below)**",
        row.precision,
        "" if seconds is None else f"{seconds['median']:.4g} ({seconds['min']:.4g} to {seconds['max']:.4g})",
        "" if row.speed is None else f"{row.speed:.2f} × {row.against}",
        f"{memory['weights_mib']:,.0f} / {memory['peak_mib']:,.0f}" if memory else "",
        "" if row.tflops_per_s is None else f"{row.tflops_per_s:.3g}",
        "" if row.mfu is None else f"{100 * row.mfu:.1f} %",
        f"from {row.against}: " * bool(row.differences) + "; ".join(f"{name} {value:.2g}" for name, value in row.differences.items()),
    ]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
