"""Short names of lists and models, and paths of values whose keys are names."""

from collections.abc import Sequence
from urllib.parse import quote, unquote

LONGEST_NAME = 32  # of a model in tables and legends; beyond it the models are numbered


def short_names(paths: Sequence[str]) -> list[str]:
    """Return the last parts of each path, as few of them as tell the paths apart."""
    parts = [[part for part in path.replace("\\", "/").split("/") if part] or [path] for path in paths]
    for count in range(1, max(map(len, parts), default=0) + 1):
        names = ["/".join(each[-count:]) for each in parts]
        if len(set(names)) == len(names):
            return names
    return list(paths)


def model_names(models: Sequence[str]) -> dict[str, str]:
    """Return what each model is called in tables and legends: its short name, or a number where one of them is long."""
    names = short_names(models)
    if max(map(len, names)) > LONGEST_NAME:
        names = [f"model {number}" for number in range(1, len(models) + 1)]
    return dict(zip(models, names, strict=True))


def path_key(name: str) -> str:
    """Return a name as a key in a path of a document: without dots, which part the keys."""
    return quote(name, safe="", errors="surrogatepass").replace(".", "%2E")


def name_of_key(key: str) -> str:
    """Return the name that a key in a path stands for."""
    return unquote(key, errors="surrogatepass")
