"""Find the configuration keys that code reads, by following types through its syntax."""

import ast
from collections.abc import Iterable, Iterator

from pydantic import BaseModel

from mrlspk.config.keys import section_of

type Read = tuple[str, str]  # the class of a section, and an attribute of it


def sections(root: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """Return the classes of a configuration and of the sections in it, by name."""
    found = {root.__name__: root}
    for field in root.model_fields.values():
        if child := section_of(field.annotation):
            found |= sections(child)
    return found


class Types:
    """What is known of types: the sections, fields of other classes that hold one, and what functions return."""

    def __init__(self, root: type[BaseModel], trees: Iterable[ast.Module]) -> None:
        self.sections = sections(root)
        self.fields: dict[Read, str] = {}
        self.returns: dict[str, str] = {name: name for name in self.sections}
        for name, section in self.sections.items():
            for key, field in section.model_fields.items():
                if child := section_of(field.annotation):
                    self.fields[name, key] = child.__name__
        for tree in trees:
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef):
                    for entry in node.body:
                        if isinstance(entry, ast.AnnAssign) and isinstance(entry.target, ast.Name):
                            self.fields.setdefault((node.name, entry.target.id), class_named(entry.annotation))
                        elif isinstance(entry, ast.FunctionDef) and is_property(entry):
                            self.fields.setdefault((node.name, entry.name), class_named(entry.returns))
                elif isinstance(node, ast.FunctionDef) and node.returns:
                    self.returns.setdefault(node.name, class_named(node.returns))

    def of(self, node: ast.AST, names: dict[str, str]) -> str:
        """Return the name of an expression's class; nothing where it is not known."""
        match node:
            case ast.Name(id=name):
                return names.get(name, "")
            case ast.Attribute(value=owner, attr=attr):
                return self.fields.get((self.of(owner, names), attr), "")
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
                return self.returns.get(name, "")
            case ast.BoolOp(values=choices):
                return next(filter(None, (self.of(choice, names) for choice in choices)), "")
            case ast.IfExp(body=first, orelse=second):
                return self.of(first, names) or self.of(second, names)
        return ""


def is_property(method: ast.FunctionDef) -> bool:
    """Return whether a method is read as an attribute."""
    return any(isinstance(decorator, ast.Name) and decorator.id == "property" for decorator in method.decorator_list)


def class_named(annotation: ast.AST | None) -> str:
    """Return the class that an annotation names, the first of ``X | None``."""
    match annotation:
        case ast.Name(id=name) | ast.Constant(value=str(name)) | ast.Attribute(attr=name):
            return name
        case ast.BinOp(left=left):
            return class_named(left)
    return ""


def local_names(function: ast.FunctionDef, owner: str, types: Types) -> dict[str, str]:
    """Return the class of each parameter and local name of a function."""
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    names = {argument.arg: class_named(argument.annotation) for argument in arguments}
    names |= {"self": owner} if owner else {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            for target, value in _pairs(node.targets[0], node.value):
                if isinstance(target, ast.Name) and (found := types.of(value, names)):
                    names[target.id] = found
    return names


def _pairs(target: ast.AST, value: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        yield from zip(target.elts, value.elts, strict=True)
    else:
        yield target, value


def functions(tree: ast.Module) -> Iterator[tuple[ast.FunctionDef, str]]:
    """Yield every function, with the class that it is a method of."""
    for node in ast.walk(tree):
        inside = [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.FunctionDef)]
        yield from ((child, node.name if isinstance(node, ast.ClassDef) else "") for child in inside)


def reads(function: ast.FunctionDef, owner: str, types: Types) -> set[Read]:
    """Return what a function reads of sections."""
    names = local_names(function, owner, types)
    loads = (node for node in ast.walk(function) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load))
    found = {(types.of(node.value, names), node.attr) for node in loads}
    return {(section, attr) for section, attr in found if section in types.sections}


def keys_read(root: type[BaseModel], outside: Iterable[str], inside: Iterable[str] = ()) -> set[str]:
    """Return the dotted keys that code reads, directly or through properties of the sections.

    Args:
        root: The whole configuration.
        outside: Sources that use it.
        inside: Sources that define it; of these only properties that are read themselves count.
    """
    outer, inner = [ast.parse(text) for text in outside], [ast.parse(text) for text in inside]
    types = Types(root, [*outer, *inner])
    found: set[Read] = set()
    for tree in outer:
        for function, owner in functions(tree):
            found |= reads(function, owner, types)
    for tree in inner:
        for function, owner in functions(tree):
            if (owner, function.name) in found:
                found |= reads(function, owner, types)
    return set(_dotted(root, found, ""))


def _dotted(section: type[BaseModel], found: set[Read], prefix: str) -> Iterator[str]:
    for name, field in section.model_fields.items():
        if (section.__name__, name) in found:
            yield prefix + name
        if child := section_of(field.annotation):
            yield from _dotted(child, found, f"{prefix}{name}.")
