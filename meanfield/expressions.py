"""as_nonlinearity: what a user may call phi, made a Nonlinearity."""

import functools

from meanfield.compiled_trees import nonlinearity_of, shortened
from meanfield.errors import NonlinearityError
from meanfield.expression_reader import MAX_CHARACTERS, Reader
from meanfield.nonlinearity import Nonlinearity

__all__ = ["as_nonlinearity"]


def as_nonlinearity(phi: Nonlinearity | str) -> Nonlinearity:
    """The nonlinearity that a name or an expression in x describes; a Nonlinearity passes through.

    Parameters
    ----------
    phi : Nonlinearity or str
        A catalogue name ("tanh"), a name with parameters ("leaky_relu(slope=0.2)"), or an expression in x: + - * / **,
        numbers, pi, e, abs, exp, expm1, log, log1p, sqrt, sin, cos, tan, sinh, cosh, tanh, arcsinh, arctan, erf, erfc,
        max, min, sign, heaviside, where(condition, a, b), and catalogue names ("0.5*relu(x + 1)"). At most 1000
        characters, 200 nodes and 50 levels.

    Returns
    -------
    Nonlinearity
        The same object for the same text.

    Raises
    ------
    NonlinearityError
        The text is outside this language, with the position; or phi is not real, not finite or constant, or
        E phi'^2 is infinite, with the point.
    NotDifferentiableError
        phi jumps.

    Notes
    -----
    phi' follows by the chain rule, phi' = sum_k (df/du_k) u_k' at every call f(u_1, u_2, ...); the slope of a catalogue
    name is its own. Deltas are left out, for phi is continuous: x*sign(x) is allowed and sign(x) is not.

    Examples
    --------
    >>> phi = as_nonlinearity("sin(x)/(1 + abs(x))")
    >>> phi.kinks, float(phi.derivative(0.0))
    ((0.0,), 1.0)
    >>> as_nonlinearity("LeakyReLU(x, negative_slope=0.2)").name
    'leaky_relu(slope=0.2)'
    """
    if isinstance(phi, Nonlinearity):
        return phi
    if not isinstance(phi, str):
        hint = "; Nonlinearity.from_callable takes functions" if callable(phi) else ""
        raise NonlinearityError(f"phi must be a Nonlinearity or text, got {shortened(repr(phi))}{hint}")
    if len(phi) > MAX_CHARACTERS:
        raise NonlinearityError(
            f"cannot read {shortened(phi)!r}: at most {MAX_CHARACTERS} characters are allowed, got {len(phi)}"
        )
    return _from_text(str(phi))


@functools.lru_cache(maxsize=1024)
def _from_text(text: str) -> Nonlinearity:
    reader = Reader(text)
    found = reader.read()
    if isinstance(found, Nonlinearity):
        return found
    return nonlinearity_of(found, name=reader.text, expression=reader.text)
