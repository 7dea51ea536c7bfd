"""Free probability of spectra: laws by their transforms, free products, edges, atoms, densities; knows no network."""

from meanfield.freeprob.curve import Lost
from meanfield.freeprob.factors import CompoundPoisson, Projection, Semigroup, Wishart
from meanfield.freeprob.laws import Law, point_masses
from meanfield.freeprob.products import FreeProduct
from meanfield.freeprob.pushforward import gaussian_pushforward
from meanfield.freeprob.spectrum import SpectralLaw, spectral_law

__all__ = [
    "CompoundPoisson",
    "FreeProduct",
    "Law",
    "Lost",
    "Projection",
    "Semigroup",
    "SpectralLaw",
    "Wishart",
    "gaussian_pushforward",
    "point_masses",
    "spectral_law",
]
