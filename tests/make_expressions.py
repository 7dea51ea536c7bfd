"""Random expressions in x for the honesty tests, with their moments: the "expressions" section of problems_data.json.

An expression is grown as text together with a function x -> (phi, phi') in mpmath and the switching functions whose
sign changes are its kinks. The moments come from two partitions of narrow panels; where these disagree the expression
is thrown away, so what stays in the table can be trusted.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from mpmath import mp, mpf

from tests import oracles
from tests.oracles import Rule, digits, integrate, panels

REACH = 12.0  # standard deviations: exp(-72) = 5e-32
RULES = (Rule(nodes=20, base=0.3, growth=0, z_step=0.8), Rule(nodes=24, base=0.23, growth=0, z_step=0.61))

SMOOTH = {
    "tanh": oracles.tanh,
    "sin": oracles.sin,
    "erf": oracles.erf,
    "sigmoid": oracles.sigmoid,
    "gelu": oracles.gelu,
    "silu": oracles.silu,
    "softplus": oracles.softplus,
    "arctan": oracles.arctan,
}
KINKED = {
    "relu": oracles.relu,
    "abs": lambda x: (abs(x), mpf(1) if x > 0 else mpf(-1)),
    "elu": oracles.elu,
    "softsign": oracles.softsign,
}


@dataclass(frozen=True)
class Tree:
    """Text, the pair (value, slope) as a function of x, and the functions whose zeros are kinks."""

    text: str
    pair: Callable
    switches: tuple[Callable, ...] = ()


def affine(rng: random.Random) -> Tree:
    slope, shift = rng.choice([-1, 1]) * rng.uniform(0.3, 2.0), rng.uniform(-1.5, 1.5)
    a, b = round(slope, 2), round(shift, 2)
    return Tree(f"({a}*x+({b}))", lambda x: (mpf(a) * x + mpf(b), mpf(a)))


def applied(name: str, inner: Tree) -> Tree:
    outer = SMOOTH.get(name) or KINKED[name]

    def pair(x):
        y, dy = inner.pair(x)
        value, slope = outer(y)
        return value, slope * dy

    switch = (lambda x: inner.pair(x)[0],) if name in KINKED else ()
    return Tree(f"{name}({inner.text})", pair, inner.switches + switch)


def combined(kind: str, one: Tree, two: Tree) -> Tree:
    def pair(x):
        (a, da), (b, db) = one.pair(x), two.pair(x)
        if kind == "+":
            return a + b, da + db
        if kind == "*":
            return a * b, a * db + b * da
        return (a, da) if (a > b) == (kind == "max") else (b, db)

    text = f"{kind}({one.text}, {two.text})" if kind in ("max", "min") else f"({one.text}{kind}{two.text})"
    switch = (lambda x: one.pair(x)[0] - two.pair(x)[0],) if kind in ("max", "min") else ()
    return Tree(text, pair, one.switches + two.switches + switch)


def grow(rng: random.Random, depth: int) -> Tree:
    if depth == 0:
        return affine(rng)
    kind = rng.random()
    if kind < 0.55:
        return applied(rng.choice([*SMOOTH, *KINKED]), grow(rng, depth - 1))
    return combined(rng.choice(["+", "*", "max", "min"]), grow(rng, depth - 1), grow(rng, depth - 1))


def kinks(tree: Tree, low: float, high: float) -> list:
    """Sign changes of the switching functions, by bisection from a fine grid."""
    found = []
    for switch in tree.switches:
        with mp.workdps(15):
            grid = np.linspace(low, high, 2500)
            signs = np.sign([float(switch(mpf(x))) for x in grid])
        for i in np.flatnonzero(signs[1:] * signs[:-1] < 0):
            a, b, sign = mpf(grid[i]), mpf(grid[i + 1]), signs[i]
            for _ in range(100):
                middle = (a + b) / 2
                a, b = (middle, b) if mp.sign(switch(middle)) == sign else (a, middle)
            found.append(a)
    return sorted(found)


def moments(tree: Tree, q: float, places: list, rule: Rule) -> list:
    root, q = mp.sqrt(mpf(q)), mpf(q)

    def integrand(x):
        value, slope = tree.pair(x)
        weight = mp.exp(-x * x / (2 * q)) / (root * mp.sqrt(2 * mp.pi))
        square = slope * slope * weight
        return value * value * weight, square, square * slope * slope, value * slope * x / q * weight

    step = min(rule.z_step * root, mpf(rule.base))
    edges = panels([], places, step, mpf(REACH) * root, 0)
    return integrate(integrand, edges, rule.nodes)


def expression_table(count: int = 80, seed: int = 2) -> list:
    rng, table = random.Random(seed), []
    with mp.workdps(30):
        while len(table) < count:
            tree, q = grow(rng, rng.choice([1, 2, 2, 3])), round(float(np.exp(rng.uniform(-4, 3))), 4)
            if len(tree.text) > 300:
                continue
            places = kinks(tree, -REACH * q**0.5, REACH * q**0.5)
            first, second = (moments(tree, q, places, rule) for rule in RULES)
            if first[1] < 1e-6:
                continue  # constant, or nearly so
            scale = mp.sqrt(first[0] * first[1])
            if not all(abs(a - b) <= 1e-21 * (abs(a) + scale) for a, b in zip(first, second, strict=True)):
                continue
            row = dict(zip(("V", "mu_1", "mu_2", "V_slope"), (digits(x, 22) for x in first), strict=True))
            table.append({"phi": tree.text, "q": q, **row, "kinks": [float(x) for x in places]})
    return table
