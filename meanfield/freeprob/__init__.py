"""Free probability of spectra: laws by their transforms, free products, edges, atoms, densities; knows no network."""

from meanfield.freeprob.curve import LostError
from meanfield.freeprob.edges import Edge, log_bottom, log_top
from meanfield.freeprob.factors import CompoundPoisson, Factor, Projection, Semigroup, Wishart
from meanfield.freeprob.laws import Law, point_masses
from meanfield.freeprob.products import FreeProduct
from meanfield.freeprob.pushforward import gaussian_pushforward
from meanfield.freeprob.spectrum import NOTHING, SpectralLaw, Spectrum

__all__ = [
    "NOTHING",
    "CompoundPoisson",
    "Edge",
    "Factor",
    "FreeProduct",
    "Law",
    "LostError",
    "Projection",
    "Semigroup",
    "SpectralLaw",
    "Spectrum",
    "Wishart",
    "gaussian_pushforward",
    "log_bottom",
    "log_top",
    "point_masses",
]
