"""Scenario text: YAML or JSON into plain data and back, refusing what would be misread.

YAML is read by the core rules of its version 1.2: only `true` and `false` are booleans, so NO and
off stay words, 010 is ten and 12:30 a word. A key that stands twice is a fault in both formats; so
is a YAML alias, of which a few lines can fill the memory, and a tag, which no scenario needs.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final

import yaml
from yaml.composer import Composer
from yaml.constructor import SafeConstructor
from yaml.emitter import Emitter
from yaml.events import AliasEvent
from yaml.nodes import MappingNode, Node, ScalarNode
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.representer import BaseRepresenter, SafeRepresenter
from yaml.resolver import BaseResolver, Resolver
from yaml.scanner import Scanner
from yaml.serializer import Serializer

from medgen_pipeline.errors import Fault

JSON: Final = ".json"
SUFFIXES: Final = (".yaml", ".yml", JSON)

_COLUMNS: Final = 100  # of a written line
_ONCE: Final = "a key may stand once"
_TAG: Final = "tag:yaml.org,2002:"
_NOT_TEXT: Final = {  # by kind: the form of a plain scalar that is not text, its first characters
    "null": (re.compile(r"(?:~|null|Null|NULL|)$"), ("~", "n", "N", "")),
    "bool": (re.compile(r"(?:true|True|TRUE|false|False|FALSE)$"), tuple("tTfF")),
    "int": (re.compile(r"[-+]?[0-9][0-9_]*$"), tuple("-+0123456789")),
    "float": (
        re.compile(
            r"""(?: [-+]? (?: \.[0-9]+ | [0-9][0-9_]* (?:\.[0-9_]*)? ) (?:[eE][-+]?[0-9]+)?
                  | [-+]? \.(?:inf|Inf|INF)
                  | \.(?:nan|NaN|NAN) )$""",
            re.VERBOSE,
        ),
        tuple("-+.0123456789"),
    ),
}


class BrokenTextError(Exception):
    """Text that holds no data: where it breaks, and why."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        super().__init__(str(fault))


def read(text: str, suffix: str) -> object:
    """Return the data of a scenario's text, JSON if the suffix says so and else YAML."""
    try:
        return _read_json(text) if suffix == JSON else _read_yaml(text)
    except RecursionError:
        raise _broken("the text", "nested too deeply", "a scenario has six levels") from None
    except ValueError:  # int() refuses thousands of digits
        allowed = "no number here has so many digits"
        raise _broken("the text", "not readable", allowed) from None


def write(data: object) -> str:
    """Return plain data as YAML, in its own order."""
    return str(yaml.dump(data, None, _Dumper, sort_keys=False, allow_unicode=True, width=_COLUMNS))


def _read_json(text: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_mapping)
    except json.JSONDecodeError as error:
        raise _broken(_place(error.lineno, error.colno), "not JSON", error.msg.lower()) from None


def _mapping(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise _broken(f"the key {key!r}", "given twice in a mapping", _ONCE)
        found[key] = value
    return found


def _read_yaml(text: str) -> object:
    try:
        return _Loader(text).get_single_data()
    except ReaderError as error:
        before = text[: error.position]
        column = error.position - before.rfind("\n")
        place = _place(before.count("\n") + 1, column)
        raise _broken(place, "a character that YAML does not allow", "leave it out") from None
    except yaml.MarkedYAMLError as error:
        raise _broken(_marked(error.problem_mark), "not YAML", error.problem or "") from None


def _broken(place: str, got: str, allowed: str) -> BrokenTextError:
    return BrokenTextError(Fault(place, got, allowed))


def _marked(mark: Any) -> str:  # noqa: ANN401  two classes, alike
    return _place(mark.line + 1, mark.column + 1) if mark else "the text"


def _place(line: int, column: int) -> str:
    return f"line {line}, column {column}"


def _forms(*, besides: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    """Return, by first character, the tags and forms of plain scalars that are not text."""
    forms = {first: list(known) for first, known in besides.items()}
    for kind, (form, characters) in _NOT_TEXT.items():
        for first in characters:
            forms.setdefault(first, []).append((f"{_TAG}{kind}", form))
    return forms


def _integer(_constructor: SafeConstructor, node: ScalarNode) -> int:
    """Return a whole number to base ten, whatever its leading zeros."""
    return int(node.value.replace("_", ""))


class _Constructor(SafeConstructor):
    """Plain data of nodes, refusing a key that stands twice."""

    yaml_constructors: ClassVar = SafeConstructor.yaml_constructors | {f"{_TAG}int": _integer}

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002, ARG002  the library's
        """Return a mapping, built at once."""
        first: dict[str, Node] = {}
        for key, _ in node.value:
            if isinstance(key, ScalarNode) and first.setdefault(key.value, key) is not key:
                line = first[key.value].start_mark.line + 1
                got = f"a second {key.value!r}"
                raise _broken(_marked(key.start_mark), got, f"{_ONCE}; see line {line}")
        return super().construct_mapping(node, deep=True)


class _Loader(Reader, Scanner, Parser, Composer, _Constructor, BaseResolver):
    """A reader of YAML without aliases and tags."""

    yaml_implicit_resolvers: dict[str, list[Any]] = _forms(besides={})

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        _Constructor.__init__(self)
        BaseResolver.__init__(self)

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        """Return the next node, unless it is an alias or bears a tag."""
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, AliasEvent):
            place, allowed = _marked(event.start_mark), "write the values out"
            raise _broken(place, f"an alias, *{event.anchor}", allowed)
        if getattr(event, "tag", None) is not None:
            raise _broken(_marked(event.start_mark), "a tag", "leave it out")
        return super().compose_node(parent, index)


def _text(dumper: BaseRepresenter, text: Any) -> Node:  # noqa: ANN401  the library's
    """Return text, escaped where the emitter would fold a line break that is no newline."""
    return dumper.represent_scalar(f"{_TAG}str", text, None if text.isprintable() else '"')


class _Dumper(Emitter, Serializer, SafeRepresenter, BaseResolver):
    """A writer of YAML that quotes what version 1.1 or 1.2 would not take for text."""

    yaml_representers: ClassVar = SafeRepresenter.yaml_representers | {str: _text}
    yaml_implicit_resolvers: dict[str, list[Any]] = _forms(besides=Resolver.yaml_implicit_resolvers)

    def __init__(self, stream: Any, **options: Any) -> None:  # noqa: ANN401  the library's
        wanted = {name: options[name] for name in ("width", "allow_unicode")}
        Emitter.__init__(self, stream, **wanted)
        Serializer.__init__(self)
        SafeRepresenter.__init__(self, sort_keys=options["sort_keys"], default_flow_style=False)
        BaseResolver.__init__(self)

    def ignore_aliases(self, _data: object) -> bool:
        """Write equal parts out in full."""
        return True
