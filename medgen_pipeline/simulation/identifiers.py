"""Identifiers in the format of each nation, rendered as bytes for many people at once.

A format of nations.toml becomes a program of one step per character. Where a format has room,
nobody shares an identifier: the serial part is a permutation of the subject number modulo the
format's space, so two of a nation get the same one only if their subject numbers differ by a
multiple of the space and, where the format holds them, birth date and sex are the same too. (A
format that refuses one serial number in eleven, as Norway's, moves such a person to the next, which
may be taken.)
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from medgen_pipeline.reference.nations import Check, Identifier
from medgen_pipeline.simulation.calendar import date_of
from medgen_pipeline.simulation.compiled import entry_point, jit
from medgen_pipeline.simulation.rows import Strings

_CHOOSE: Final = 0  # one of the characters from `a`, `b` of them for each case
_DATE: Final = 1  # field `a` of the birth date, the digit at the power of ten `b`
_CHECK: Final = 2  # check `a`
_DAY, _MONTH, _YEAR, _DAY_NUMBER = range(4)
_DATE_LETTERS: Final = {"d": _DAY, "m": _MONTH, "y": _YEAR, "j": _DAY_NUMBER}
_SETS: Final = {"n": ("0123456789",) * 4, "a": ("ABCDEFGHIJKLMNOPQRSTUVWXYZ",) * 4}
_CASES: Final = 4  # male, female born before 2000; male, female from 2000
_LONGEST: Final = 24

_WEIGHTED, _LUHN, _ISO7064 = range(3)
# Columns of a check.
_KIND, _MODULUS, _COMPLEMENT, _WEIGHTS, _SECOND, _CHARACTERS, _WRONG, _ADDED = range(8)
_NONE: Final = -1
_DAYS_TO_1970: Final = 25_568  # from 1899-12-31, the day 0 of Ukraine's numbers


class Formats(NamedTuple):
    """The programs of all nations, in the order of their codes."""

    steps: npt.NDArray[np.int32]  # how many each program has
    lengths: npt.NDArray[np.int32]  # characters it renders
    program: npt.NDArray[np.int32]  # nation x step x (operation, a, b)
    spaces: npt.NDArray[np.uint64]  # serial numbers it can tell apart
    added: npt.NDArray[np.int32]  # nation x (day, month) x case
    checks: npt.NDArray[np.int64]  # check x column
    weights: npt.NDArray[np.int64]
    characters: npt.NDArray[np.uint8]


class _Pool:
    """Characters and weights that programs point into."""

    def __init__(self) -> None:
        self.characters = bytearray()
        self.weights: list[int] = []
        self.checks: list[list[int]] = []

    def store(self, characters: str) -> int:
        start = len(self.characters)
        self.characters += characters.encode("ascii")
        return start

    def weigh(self, weights: Sequence[int]) -> int:
        start = len(self.weights)
        self.weights += weights
        return start

    def check(self, check: Check) -> int:
        weights = check.weights or [
            pow(10, power, check.modulus) for power in reversed(range(check.powers))
        ]
        kind = _LUHN if check.luhn else _ISO7064 if check.iso7064 else _WEIGHTED
        self.checks.append(
            [
                kind,
                check.modulus,
                check.complement,
                self.weigh(weights),
                self.weigh(check.second) if check.second else _NONE,
                self.store(check.characters) if check.characters else _NONE,
                check.wrong,
                *check.added,
            ]
        )
        return len(self.checks) - 1


def formats(identifiers: Sequence[Identifier]) -> Formats:
    """Return the compiled programs of some nations' identifiers."""
    pool = _Pool()
    programs = [_program(identifier, pool) for identifier in identifiers]
    program = np.zeros((len(programs), _LONGEST, 3), np.int32)
    for nation, steps in enumerate(programs):
        program[nation, : len(steps)] = steps
    return Formats(
        steps=np.array([len(steps) for steps in programs], np.int32),
        lengths=np.array([len(identifier.template) for identifier in identifiers], np.int32),
        program=program,
        spaces=np.array([_space(steps) for steps in programs], np.uint64),
        added=np.array([(i.day_added, i.month_added) for i in identifiers], np.int32),
        checks=np.array(pool.checks, np.int64),
        weights=np.array(pool.weights, np.int64),
        characters=np.frombuffer(bytes(pool.characters), np.uint8),
    )


def _program(identifier: Identifier, pool: _Pool) -> list[tuple[int, int, int]]:
    steps: list[tuple[int, int, int]] = []
    checks = iter(identifier.checks)
    template = identifier.template
    sets = _SETS | identifier.sets
    two_digits = False
    for place, letter in enumerate(template):
        if letter in sets:
            steps.append((_CHOOSE, pool.store("".join(sets[letter])), len(sets[letter][0])))
        elif letter in _DATE_LETTERS:
            power = _run_after(template, place)
            steps.append((_DATE, _DATE_LETTERS[letter], 10**power))
        elif letter != "c":
            steps.append((_CHOOSE, pool.store(letter * _CASES), 1))
        elif not two_digits:
            check = next(checks)
            two_digits = not check.characters
            steps.append((_CHECK, pool.check(check), 0))
    return steps


def _run_after(template: str, place: int) -> int:
    """Return how many times the letter at a place repeats right after it."""
    rest = template[place + 1 :]
    return len(rest) - len(rest.lstrip(template[place]))


def _space(steps: Sequence[tuple[int, int, int]]) -> int:
    space = 1
    for operation, _, count in steps:
        space *= count if operation == _CHOOSE else 1
    return space


def render(
    formats: Formats,
    key: npt.NDArray[np.uint64],
    subjects: npt.NDArray[np.int64],
    nations: npt.NDArray[np.int8],
    sexes: npt.NDArray[np.int8],
    birth_dates: npt.NDArray[np.int32],
) -> Strings:
    """Return the identifiers of some people of one replicate; birth dates in days since 1970."""
    offsets = np.zeros(len(subjects) + 1, np.int32)
    np.cumsum(formats.lengths[nations], out=offsets[1:])
    data = np.empty(offsets[-1], np.uint8)
    _render(formats, key, subjects, nations, sexes, birth_dates, offsets, data)
    return Strings(offsets, data)


@entry_point
def _render(
    formats: Formats,
    key: npt.NDArray[np.uint64],
    subjects: npt.NDArray[np.int64],
    nations: npt.NDArray[np.int8],
    sexes: npt.NDArray[np.int8],
    birth_dates: npt.NDArray[np.int32],
    offsets: npt.NDArray[np.int32],
    data: npt.NDArray[np.uint8],
) -> None:
    values = np.empty(_LONGEST, np.int64)
    date = np.empty(4, np.int64)
    for i in range(len(subjects)):
        nation = nations[i]
        year, month, day = date_of(birth_dates[i])
        case = sexes[i] + 2 * (year >= 2000)
        date[_DAY] = day + formats.added[nation, 0, case]
        date[_MONTH] = month + formats.added[nation, 1, case]
        date[_YEAR] = year
        date[_DAY_NUMBER] = birth_dates[i] + _DAYS_TO_1970
        space = formats.spaces[nation]
        serial = _permuted(np.uint64(subjects[i]) % space, space, key)
        while not _write(formats, nation, case, date, serial, values, data, offsets[i]):
            serial = (serial + np.uint64(1)) % space


@jit
def _permuted(number: np.uint64, space: np.uint64, key: npt.NDArray[np.uint64]) -> np.uint64:
    """Return a number below `space` for each number below it, no two the same.

    Two rounds of multiply, add and shift permute the next power of two; what falls outside the
    space goes round again.
    """
    bits = np.uint64(1)
    while (np.uint64(1) << bits) < space:
        bits += np.uint64(1)
    mask = (np.uint64(1) << bits) - np.uint64(1)
    half = (bits + np.uint64(1)) >> np.uint64(1)
    x = number
    while True:
        x = (x * np.uint64(0x9E3779B97F4A7C15) + key[0]) & mask
        x ^= x >> half
        x = (x * np.uint64(0xD1342543DE82EF95) + key[1]) & mask
        x ^= x >> half
        if x < space:
            return np.uint64(x)


@jit
def _write(
    formats: Formats,
    nation: int,
    case: int,
    date: npt.NDArray[np.int64],
    serial: np.uint64,
    values: npt.NDArray[np.int64],
    data: npt.NDArray[np.uint8],
    at: int,
) -> bool:
    """Write one identifier from `at` on; return whether the serial number can have one."""
    known = 0  # digits and letters so far
    for step in range(formats.steps[nation]):
        operation = formats.program[nation, step, 0]
        a, b = formats.program[nation, step, 1], formats.program[nation, step, 2]
        if operation == _CHOOSE:
            count = np.uint64(b)
            character = formats.characters[a + case * b + np.int64(serial % count)]
            serial //= count
        elif operation == _DATE:
            character = np.uint8(48 + date[a] // b % 10)
        else:
            check = formats.checks[a]
            result = _result(check, formats.weights, values, known, case)
            if check[_CHARACTERS] == _NONE:
                if check[_WRONG]:
                    result = result % check[_MODULUS] + 1
                data[at] = 48 + result // 10
                at += 1
                character = np.uint8(48 + result % 10)
            else:
                character = formats.characters[check[_CHARACTERS] + result]
                if check[_WRONG]:
                    character = np.uint8(48 + (character - 47) % 10)  # the digit after it
                elif character == 33:  # "!": no check character fits
                    return False
        data[at] = character
        at += 1
        if character >= 65:
            letter = np.int64(character) - 64
            values[known] = letter - (letter > 9) - (letter > 15)
            known += 1
        elif 48 <= character <= 57:
            values[known] = np.int64(character) - 48
            known += 1
    return True


@jit
def _result(
    check: npt.NDArray[np.int64],
    weights: npt.NDArray[np.int64],
    values: npt.NDArray[np.int64],
    known: int,
    case: int,
) -> int:
    """Return the result of a check over the first `known` values."""
    modulus = check[_MODULUS]
    if check[_KIND] == _ISO7064:
        product = 10
        for k in range(known):
            product = (product + values[k]) % 10
            product = (product if product != 0 else 10) * 2 % 11
        return (11 - product) % 10
    result = _weighted(check, weights, check[_WEIGHTS], values, known, case)
    if result == 10 and check[_SECOND] != _NONE:
        result = _weighted(check, weights, check[_SECOND], values, known, case)
    if check[_COMPLEMENT]:
        result = modulus - result
        if check[_CHARACTERS] != _NONE:
            result %= modulus
    return result


@jit
def _weighted(
    check: npt.NDArray[np.int64],
    weights: npt.NDArray[np.int64],
    start: int,
    values: npt.NDArray[np.int64],
    known: int,
    case: int,
) -> int:
    total = int(check[_ADDED + case])
    for k in range(known):
        product = weights[start + k] * values[k]
        if check[_KIND] == _LUHN and product > 9:
            product -= 9
        total += int(product)
    return total % int(check[_MODULUS])
