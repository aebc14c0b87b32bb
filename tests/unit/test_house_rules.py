"""The rules of the house that a machine can hold: who may import whom, sizes, names, and what must not occur."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
RECORDS = ("pipeline.records", "pipeline.errors", "pipeline.storage")
DOORS = {
    "pipeline": ("pipeline",),
    "networks": ("networks", *RECORDS),
    "labelers": ("labelers", "networks", *RECORDS),
    "trainer": ("trainer", "networks", "pipeline.stream", "pipeline.metrics", *RECORDS),
    "jobs": ("pipeline", "networks", "labelers", "trainer", "jobs"),
}
HOME = {
    "ray": "jobs",
    "typer": "jobs",
    "rich": "jobs",
    "cotracker": "labelers",
    "transformers": "labelers",
    "torch": "networks labelers trainer",
    **dict.fromkeys(("av", "jinja2", "webdataset", "pyarrow", "fsspec", "s3fs"), "pipeline"),
}
GRANTED = {("pipeline/stream/torch_adapter.py", "torch"), ("trainer/ray_loop.py", "ray"), ("trainer/ray_results.py", "ray")}
FILES = [(room, path) for room in DOORS for path in sorted((ROOT / room).rglob("*.py"))]
TREES = {path: ast.parse(path.read_text()) for _, path in FILES}  # parsed once for all rules


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, "." * node.level + f"{node.module or ''}.{alias.name}") for alias in node.names)


def allowed(room: str, path: str, name: str) -> bool:
    top = name.split(".")[0]
    if top in DOORS or not top:  # ours, or relative
        return any(name == door or name.startswith(door + ".") for door in DOORS[room])
    return room == "jobs" or room in HOME.get(top, room) or (path, top) in GRANTED


def test_imports_go_through_the_doors() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for room, path in FILES
        for line, name in imports_of(path)
        if not allowed(room, path.relative_to(ROOT).as_posix(), name)
    ]
    assert FILES, f"nothing to check under {ROOT}"
    assert not wrong, "\n".join(wrong)


def test_the_import_rule_catches_a_wrong_import() -> None:
    assert not allowed("pipeline", "pipeline/x.py", "ray")
    assert not allowed("labelers", "labelers/x.py", "pipeline.shards.index")
    assert not allowed("pipeline", "pipeline/x.py", ".records")
    assert not allowed("networks", "networks/x.py", "labelers.options")
    assert not allowed("networks", "networks/x.py", "av")
    assert not allowed("trainer", "trainer/x.py", "labelers.cotracker3")
    assert allowed("trainer", "trainer/x.py", "networks.cotracker3")
    assert allowed("pipeline", "pipeline/stream/torch_adapter.py", "torch.utils")


def test_files_and_functions_fit_their_size() -> None:
    wrong = []
    for _, path in FILES:
        text = path.read_text()
        if (lines := text.count("\n")) > 300:
            wrong.append(f"{path.relative_to(ROOT)}: {lines} lines, at most 300")
        for node in ast.walk(TREES[path]):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not is_command(node):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > 60:
                    wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {length} lines, at most 60")
    assert not wrong, "\n".join(wrong)


def is_command(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """A Typer command: its parameters are the options, and as long as they are many."""
    return any("command" in ast.unparse(decorator) for decorator in node.decorator_list)


def test_no_file_has_a_name_that_says_nothing() -> None:
    wrong = [str(path.relative_to(ROOT)) for _, path in FILES if path.stem in ("utils", "util", "common", "helpers", "misc")]
    assert not wrong, wrong


def test_every_public_definition_says_what_it_is() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)} {getattr(node, 'name', 'module')}"
        for _, path in FILES
        for node in public_definitions(TREES[path])
        if not ast.get_docstring(node)
    ]
    assert not wrong, "\n".join(wrong)


def public_definitions(tree: ast.Module) -> Iterator[ast.Module | ast.ClassDef | ast.FunctionDef]:
    yield tree
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            yield node


def test_nothing_is_promised_and_no_device_is_fixed() -> None:
    wrong = []
    for room, path in FILES:
        for node in ast.walk(TREES[path]):
            where = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Name) and node.id == "NotImplementedError":
                wrong.append(f"{where} NotImplementedError")
            if isinstance(node, ast.Attribute) and node.attr == "cuda" and room != "jobs":
                wrong.append(f"{where} .cuda")
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("cuda") and room != "jobs":
                wrong.append(f"{where} {node.value!r}")
    assert not wrong, "\n".join(wrong)
