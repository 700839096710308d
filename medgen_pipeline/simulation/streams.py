"""Random numbers: every draw is a function of (scenario seed, replicate, subject, decision).

A draw has no state. Philox 4x64-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
SC 2011) turns the counter (subject, decision) under the key of a replicate into four 64-bit words,
the same words `numpy.random.Philox` gives for that key and counter. So a casualty's draws depend on
nothing but who they are and what is decided: not on batch, chunk, process, the order of events, or
any other decision. A block, in the words of the design, is one casualty.

Stage 1 (when and where) draws for a whole replicate at once; it uses `generator`.
"""

from typing import Any, Final

import numpy as np
from numba import types
from numba.extending import intrinsic

from medgen_pipeline.simulation.compiled import inlined, jit

# Decisions. A number, once released, keeps its meaning; a decision that needs more than four words
# owns the numbers up to the next one listed.
NATION: Final = 0
PERSON: Final = 1  # to 15: sex, age, names, blood, weight, religion, number, allergies
WOUND_COUNT: Final = 16  # mechanism, count, protection, shared severity
WOUND: Final = 32  # to 95: two blocks of words for each of up to 32 wounds
PHYSIOLOGY: Final = 96  # to 119: times to death, one for each wound
CARE: Final = 120  # to 127: who reaches the casualty and when
TREATMENT: Final = 128  # to 191: one for each treatment of the vocabulary
TRIAGE: Final = 192  # to 196: one for each role, then the diagnosis written down
COMA: Final = 197  # how deep the coma of an injured brain is
TRAVEL: Final = 200  # to 231: one for each leg travelled
STAY: Final = 232  # to 239: length of stay by role, surgery times
OBSERVATION: Final = 240  # to 255: measurement noise by contact

_MULTIPLIER_0: Final = np.uint64(0xD2E7470EE14C6C93)
_MULTIPLIER_1: Final = np.uint64(0xCA5A826395121157)
_WEYL_0: Final = np.uint64(0x9E3779B97F4A7C15)
_WEYL_1: Final = np.uint64(0xBB67AE8584CAA73B)
_TO_UNIT: Final = 2.0**-52


@intrinsic  # type: ignore[untyped-decorator]
def _high_product(_typing: Any, _a: Any, _b: Any) -> Any:
    """Return the upper 64 bits of the 128-bit product of two uint64: one machine instruction."""
    from llvmlite import ir  # type: ignore[import-untyped]  # noqa: PLC0415  only to compile

    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        wide = ir.IntType(128)
        product = builder.mul(builder.zext(arguments[0], wide), builder.zext(arguments[1], wide))
        return builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), build


@jit
def words(key_0: Any, key_1: Any, subject: Any, decision: Any) -> tuple[Any, Any, Any, Any]:
    """Return four random 64-bit words for a subject's decision."""
    x0, x1 = np.uint64(subject), np.uint64(decision)
    x2, x3 = np.uint64(0), np.uint64(0)
    k0, k1 = np.uint64(key_0), np.uint64(key_1)
    for _ in range(10):
        high_0, low_0 = _high_product(_MULTIPLIER_0, x0), _MULTIPLIER_0 * x0
        high_1, low_1 = _high_product(_MULTIPLIER_1, x2), _MULTIPLIER_1 * x2
        x0, x1, x2, x3 = high_1 ^ x1 ^ k0, low_1, high_0 ^ x3 ^ k1, low_0
        k0 += _WEYL_0
        k1 += _WEYL_1
    return x0, x1, x2, x3


@inlined
def uniforms(
    key_0: int, key_1: int, subject: int, decision: int
) -> tuple[float, float, float, float]:
    """Return four independent draws from the open interval (0, 1)."""
    a, b, c, d = words(np.uint64(key_0), np.uint64(key_1), np.uint64(subject), np.uint64(decision))
    return to_unit(a), to_unit(b), to_unit(c), to_unit(d)


@jit
def to_unit(word: int) -> float:
    """Return a 64-bit word as a number strictly between 0 and 1, in steps of 2**-52.

    A finer step is none: the half that keeps 0 out would round the last of 2**53 up to 1.
    """
    return (np.float64(word >> np.uint64(12)) + 0.5) * _TO_UNIT


@jit
def normal(uniform: float) -> float:
    """Return the standard normal quantile of a uniform draw, relative error below 1.2e-9.

    Source: P. J. Acklam, "An algorithm for computing the inverse normal cumulative distribution
    function" (2003), without its refinement step.
    """
    low = 0.02425
    if low <= uniform <= 1.0 - low:
        q = uniform - 0.5
        r = q * q
        return (
            (
                (
                    (
                        (
                            (-3.969683028665376e01 * r + 2.209460984245205e02) * r
                            - 2.759285104469687e02
                        )
                        * r
                        + 1.383577518672690e02
                    )
                    * r
                    - 3.066479806614716e01
                )
                * r
                + 2.506628277459239e00
            )
            * q
            / (
                (
                    (
                        (
                            (-5.447609879822406e01 * r + 1.615858368580409e02) * r
                            - 1.556989798598866e02
                        )
                        * r
                        + 6.680131188771972e01
                    )
                    * r
                    - 1.328068155288572e01
                )
                * r
                + 1.0
            )
        )
    tail = min(uniform, 1.0 - uniform)
    q = np.sqrt(-2.0 * np.log(tail))
    z = (
        (
            (
                ((-7.784894002430293e-03 * q - 3.223964580411365e-01) * q - 2.400758277161838e00)
                * q
                - 2.549732539343734e00
            )
            * q
            + 4.374664141464968e00
        )
        * q
        + 2.938163982698783e00
    ) / (
        (
            ((7.784695709041462e-03 * q + 3.224671290700398e-01) * q + 2.445134137142996e00) * q
            + 3.754408661907416e00
        )
        * q
        + 1.0
    )
    return float(z if uniform < 0.5 else -z)


def replicate_key(seed: int, replicate: int) -> tuple[np.uint64, np.uint64]:
    """Return the two words that key every draw of one replicate."""
    key = np.random.SeedSequence([seed, replicate]).generate_state(2, np.uint64)
    return key[0], key[1]


def generator(seed: int, replicate: int, decision: int) -> np.random.Generator:
    """Return numpy's generator for a decision taken once for a whole replicate."""
    return np.random.Generator(np.random.PCG64DXSM([seed, replicate, decision]))
