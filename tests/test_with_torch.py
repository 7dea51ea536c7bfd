"""The package beside torch: nonlinearities, weights, training steps and products with the Fisher information.

Skipped where torch is not installed. All of torch runs in float64.
"""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

import meanfield as mf
from meanfield.activations import CATALOGUE
from verify.curvature import fisher_eigenvalues, fisher_product, top_eigenvalues
from verify.linearization import linearize
from verify.training.configuration import TrainingConfig
from verify.training.losses import loss_named
from verify.training.network import backward, forward
from verify.training.run import Training

torch = pytest.importorskip("torch", reason="torch is not installed")
F = torch.nn.functional

# torch's own forward derivatives set off its warning.
pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")]

# Above `threshold` torch's softplus is x, which leaves out exp(-threshold). Of hardsigmoid the derivative is torch's
# only in float32.
FUNCTIONS = {
    "linear": lambda x: 1.0 * x,
    "relu": F.relu,
    "leaky_relu": F.leaky_relu,
    "leaky_relu(negative_slope=0.2)": lambda x: F.leaky_relu(x, negative_slope=0.2),
    "elu": F.elu,
    "elu(alpha=0.3)": lambda x: F.elu(x, alpha=0.3),
    "selu": F.selu,
    "celu": F.celu,
    "celu(alpha=2.5)": lambda x: F.celu(x, alpha=2.5),
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
    "silu": F.silu,
    "silu(beta=1.5)": lambda x: x * torch.sigmoid(1.5 * x),
    "mish": lambda x: x * torch.tanh(F.softplus(x, threshold=100.0)),
    "softplus": lambda x: F.softplus(x, threshold=100.0),
    "softplus(beta=2)": lambda x: F.softplus(x, beta=2.0, threshold=100.0),
    "softsign": F.softsign,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "log_sigmoid": F.logsigmoid,
    "erf": torch.erf,
    "hard_tanh": F.hardtanh,
    "hard_tanh(min_val=-2, max_val=0.5)": lambda x: F.hardtanh(x, min_val=-2.0, max_val=0.5),
    "hard_sigmoid": lambda x: F.relu6(x + 3) / 6,
    "relu6": F.relu6,
    "hardswish": F.hardswish,
    "tanhshrink": F.tanhshrink,
    "softshrink": F.softshrink,
    "softshrink(lambd=0.1)": lambda x: F.softshrink(x, lambd=0.1),
    "arctan": torch.arctan,
    "sin": torch.sin,
    "cos": torch.cos,
}
# None of them is a kink.
POINTS = np.concatenate([np.linspace(-12.1, 11.9, 400), [-1e-5, -1e-300, 1e-300, 1e-5]])


def test_every_nonlinearity_of_the_catalogue_is_compared():
    assert {text.split("(")[0] for text in FUNCTIONS} == set(CATALOGUE)


@pytest.mark.parametrize("text", FUNCTIONS)
def test_phi_and_its_derivative_are_torchs(text):
    """To 1e-14, or of tanh(x) - x and its like, where torch cancels, to that of what is subtracted."""
    phi = mf.as_nonlinearity(text)
    x = torch.tensor(POINTS, requires_grad=True)
    value = FUNCTIONS[text](x)
    (slope,) = torch.autograd.grad(value.sum(), x)
    np.testing.assert_allclose(phi.function(POINTS), value.detach().numpy(), rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(phi.derivative(POINTS), slope.numpy(), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize(("text", "theirs"), [("relu", "relu"), ("linear", "linear")])
def test_gain_is_torchs_where_lengths_decide(text, theirs):
    """For these two E phi^2 and E phi'^2 ask for the same gain."""
    assert abs(mf.gain(text) - torch.nn.init.calculate_gain(theirs)) <= 1e-12


def test_the_gain_of_leaky_relu_is_torchs():
    ours, theirs = mf.gain("leaky_relu(slope=0.2)"), torch.nn.init.calculate_gain("leaky_relu", 0.2)
    assert abs(ours - theirs) <= 1e-12


def test_the_gain_of_tanh_is_not_torchs():
    """torch's 5/3 is empirical; gradients keep their size at sigma_w = 1 only."""
    assert abs(mf.gain("tanh") - 1) <= 1e-12
    assert abs(torch.nn.init.calculate_gain("tanh") - 5 / 3) <= 1e-12


# Networks


def network(layers, kind):
    """torch.nn.Linear modules that hold the very weights of `layers`, with a nonlinearity between them."""
    parts = []
    for W, b in layers:
        linear = torch.nn.Linear(W.shape[1], W.shape[0], dtype=torch.float64)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(np.ascontiguousarray(W)))
            linear.bias.copy_(torch.from_numpy(b))
        parts += [linear, kind()]
    return torch.nn.Sequential(*parts[:-1])


def samples(dim, classes, number=20, seed=1):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((number, dim)), np.eye(classes)[rng.integers(classes, size=number)]


def close(ours, theirs, tolerance=1e-12):
    theirs = theirs.detach().numpy()
    return np.abs(ours - theirs).max() <= tolerance * max(1.0, np.abs(theirs).max())


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize(("text", "kind"), [("tanh", torch.nn.Tanh), ("relu", torch.nn.ReLU)])
def test_initialized_weights_give_the_same_outputs_in_linear_modules(text, kind, weights):
    layers = mf.initialize(text, (12, 30, 30, 8), sigma_b=0.0 if text == "relu" else 0.1, weights=weights, rng=3)
    X, _ = samples(12, 8)
    assert close(forward(layers, mf.as_nonlinearity(text), X).outputs, network(layers, kind)(torch.from_numpy(X)))


@pytest.mark.parametrize("loss", ["cross_entropy", "squared"])
@pytest.mark.parametrize(("text", "kind"), [("tanh", torch.nn.Tanh), ("silu", torch.nn.SiLU)])
def test_loss_and_gradients_are_autograds(text, kind, loss):
    layers = mf.initialize(text, (12, 30, 30, 8), sigma_b=0.8, weights="gaussian", rng=4)
    X, Y = samples(12, 8)
    passed, rule = forward(layers, mf.as_nonlinearity(text), X), loss_named(loss)
    found = backward(layers, passed, rule.gradient(passed.outputs, Y))
    model = network(layers, kind)
    value = torch_loss(loss)(model(torch.from_numpy(X)), torch.from_numpy(Y))
    value.backward()
    assert abs(rule.value(passed.outputs, Y) - value.item()) <= 1e-12
    for (by_weight, by_bias), linear in zip(found, model[::2], strict=True):
        assert close(by_weight, linear.weight.grad)
        assert close(by_bias, linear.bias.grad)


def torch_loss(name):
    if name == "cross_entropy":
        return F.cross_entropy
    return lambda outputs, targets: ((outputs - targets) ** 2).sum(dim=1).mean() / 2


# Training steps

RATES = {"rate": 0.02, "scale_rate": 0.03, "readout_rate": 0.05}
GROUPS = {"rate": ("first", "hidden"), "scale_rate": ("scales",), "readout_rate": ("biases", "readout", "readout_bias")}


def torch_optimiser(name, tensors):
    groups = [{"params": [tensors[key] for key in keys], "lr": RATES[rate]} for rate, keys in GROUPS.items()]
    if name == "adam":
        return torch.optim.Adam(groups, betas=(0.9, 0.999), eps=1e-8)
    return torch.optim.SGD(groups, momentum=0.9 if name == "momentum" else 0.0)


def through_torch(tensors, x, expands):
    """The outputs of the network, its hidden weights |scale| M^T, or |scale| M in a first layer that expands."""
    sizes = tensors["scales"].abs()
    matrices = [tensors["first"] if expands else tensors["first"].T, *tensors["hidden"].mT]
    for size, matrix, bias in zip(sizes, matrices, tensors["biases"], strict=True):
        x = torch.tanh(x @ (size * matrix).T + bias)
    return F.linear(x, tensors["readout"], tensors["readout_bias"])


@pytest.mark.parametrize("optimiser", ["sgd", "momentum", "adam"])
@pytest.mark.parametrize("loss", ["cross_entropy", "squared"])
def test_training_steps_are_torchs(optimiser, loss):
    """Three steps of a network in flat space, learned scales and three rates included."""
    config = TrainingConfig(
        data="teacher", depth=3, width=16, sigma_w=1.1, sigma_b=0.2, q_star=0.5, manifold="euclidean", loss=loss,
        optimiser=optimiser, batch_size=40, fisher_samples=2, jacobian_samples=1,
    )  # fmt: skip
    config = replace(config, **RATES)
    run = Training(config)
    tensors = {name: torch.tensor(block, requires_grad=True) for name, block in run.blocks.items()}
    torchs = torch_optimiser(optimiser, tensors)
    for start in range(0, 120, 40):
        X, Y = (array[start : start + 40] for array in (run.data.train_inputs, run.data.train_targets))
        assert run.step(X, Y)
        torchs.zero_grad()
        outputs = through_torch(tensors, torch.from_numpy(X), run.shape.expands)
        torch_loss(loss)(outputs, torch.from_numpy(Y)).backward()
        torchs.step()
        for name, block in run.blocks.items():
            assert close(block, tensors[name]), name
    untrained = Training(config).blocks
    assert all(np.abs(block - untrained[name]).max() > 1e-4 for name, block in run.blocks.items())


# Fisher information


@pytest.fixture(scope="module")
def linearised():
    """A network, its inputs, and its outputs as a function of all parameters, with their values."""
    layers = mf.initialize("tanh", (10, 12, 12, 12, 4), sigma_b=0.1, weights="orthogonal", rng=5)
    X, _ = samples(10, 4)
    model = network(layers, torch.nn.Tanh)
    parameters = {name: value.detach() for name, value in model.named_parameters()}

    def outputs(values):
        return torch.func.functional_call(model, values, (torch.from_numpy(X),))

    return layers, X, outputs, parameters


def by_name(parameters, direction):
    """A list of (dW, db) as torch names it."""
    flat = itertools.chain.from_iterable(direction)
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in zip(parameters, flat, strict=True)}


def test_products_with_the_jacobian_are_torchs(linearised):
    layers, X, outputs, parameters = linearised
    rng = np.random.default_rng(6)
    direction = [(rng.standard_normal(W.shape), rng.standard_normal(b.shape)) for W, b in layers]
    cotangent = rng.standard_normal((len(X), 4))
    linear = linearize(layers, "tanh", X)
    _, moved = torch.func.jvp(outputs, (parameters,), (by_name(parameters, direction),))
    assert close(linear.push(direction), moved)
    _, pull = torch.func.vjp(outputs, parameters)
    (pulled,) = pull(torch.from_numpy(cotangent))
    for ours, theirs in zip(itertools.chain.from_iterable(linear.pull(cotangent)), pulled.values(), strict=True):
        assert close(ours, theirs)


@pytest.mark.parametrize("output", ["linear", "softmax"])
def test_the_fisher_information_is_torchs(linearised, output):
    """The whole matrix from torch's Jacobian: a product, the non-zero spectrum and its top."""
    layers, X, outputs, parameters = linearised
    jacobian = torch.func.jacrev(outputs)(parameters)
    J = torch.cat([part.reshape(len(X), 4, -1) for part in jacobian.values()], dim=2).numpy()
    p = torch.softmax(outputs(parameters), dim=1).numpy()
    identity = np.eye(4)
    H = p[:, :, None] * (identity - p[:, None, :]) if output == "softmax" else np.tile(identity, (len(X), 1, 1))
    G = np.einsum("tip,tij,tjq->pq", J, H, J, optimize=True) / len(X)
    exact = np.linalg.eigvalsh(G)[::-1]
    spectrum = fisher_eigenvalues(layers, "tanh", X, output=output)
    assert len(spectrum) == len(X) * (4 if output == "linear" else 3)
    assert np.abs(spectrum - exact[: len(spectrum)]).max() <= 1e-12 * exact[0]
    assert np.abs(exact[len(spectrum) :]).max() <= 1e-12 * exact[0]
    top = top_eigenvalues(layers, "tanh", X, output=output, count=3)
    assert (np.abs(top.values - exact[:3]) <= top.errors + 1e-12 * exact[0]).all()
    moved = fisher_product(layers, "tanh", X, layers, output=output)
    flat = [np.concatenate([part.ravel() for part in itertools.chain.from_iterable(v)]) for v in (moved, layers)]
    assert np.abs(flat[0] - G @ flat[1]).max() <= 1e-12 * exact[0] * math.sqrt(len(G))
