"""Mean-field theory of wide random neural networks: criticality, phases, spectra, checked by simulation."""
