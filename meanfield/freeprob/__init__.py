"""Free probability of spectra: laws by their transforms, free products, edges, atoms, densities; knows no network."""

from meanfield.freeprob.curve import Lost
from meanfield.freeprob.edges import Edge, log_bottom, log_top
from meanfield.freeprob.factors import CompoundPoisson, Projection, Semigroup, Wishart
from meanfield.freeprob.laws import Law, point_masses
from meanfield.freeprob.products import FreeProduct
from meanfield.freeprob.pushforward import gaussian_pushforward
from meanfield.freeprob.spectrum import SpectralLaw, Spectrum

__all__ = [
    "CompoundPoisson",
    "Edge",
    "FreeProduct",
    "Law",
    "Lost",
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
