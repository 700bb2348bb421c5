import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.losses.adversarial import SOURCE_DOMAIN, TARGET_DOMAIN, domain_loss
from labkit.losses.entropy import self_information
from labkit.models.batch_norm import still_statistics
from labkit.models.discriminator import Discriminator


def test_the_published_number_of_parameters():
    assert sum(p.numel() for p in Discriminator(19).parameters()) == 2_781_121


def test_one_logit_for_every_32_pixels():
    assert Discriminator(19, width=4)(torch.rand(2, 19, 96, 192)).shape == (2, 1, 3, 6)


def test_it_sees_94_pixels():
    network = Discriminator(2, width=2)
    maps = torch.rand(1, 2, 320, 320, requires_grad=True)
    network(maps)[0, 0, 5, 5].backward()
    seen = maps.grad[0].abs().sum(0) > 0
    assert seen.any(0).sum() == seen.any(1).sum() == 94


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-40, 40, width=32), min_size=1, max_size=20), st.sampled_from([0.0, 1.0]))
def test_binary_cross_entropy_by_hand(answers, domain):
    expected = 0.0
    for z in answers:
        log_sigma = -math.log1p(math.exp(-z)) if z > -30 else z  # the limit
        log_rest = -math.log1p(math.exp(z)) if z < 30 else -z
        expected -= (domain * log_sigma + (1 - domain) * log_rest) / len(answers)
    assert domain_loss(torch.tensor(answers), domain).item() == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("domain", [SOURCE_DOMAIN, TARGET_DOMAIN])
def test_domain_loss_extremes_and_gradient(domain):
    answers = torch.tensor([65504.0, -65504.0], dtype=torch.float16, requires_grad=True)
    loss = domain_loss(answers, domain)
    loss.backward()
    assert loss.item() == pytest.approx(65504 / 2) and answers.grad.isfinite().all()
    assert domain_loss(torch.zeros(7), domain).item() == pytest.approx(math.log(2))
    assert torch.autograd.gradcheck(
        lambda z: domain_loss(z, domain), torch.randn(5, dtype=torch.float64, requires_grad=True)
    )


def test_self_information_is_the_normalised_entropy_by_class():
    from scipy.stats import entropy

    logits = torch.randn(2, 5, 3, 4, generator=torch.Generator().manual_seed(0)) * 4
    total = self_information(logits).sum(1)
    expected = entropy(logits.double().softmax(1).numpy(), axis=1) / math.log(5)
    torch.testing.assert_close(total.double(), torch.from_numpy(expected), atol=1e-5, rtol=1e-4)
    assert self_information(torch.zeros(1, 19, 1, 1)).sum().item() == pytest.approx(1)
    assert self_information(logits).max() <= 1 / (math.e * math.log(5)) + 1e-6


def test_self_information_of_certainty_has_a_finite_gradient():
    logits = torch.full((1, 3, 2, 2), -6e4, dtype=torch.float16)
    logits[:, 0] = 6e4
    logits.requires_grad_()
    maps = self_information(logits)
    maps.sum().backward()
    assert not maps.any() and logits.grad.isfinite().all()


def test_still_statistics():
    network = torch.nn.Sequential(torch.nn.BatchNorm2d(3), torch.nn.Conv2d(3, 2, 1), torch.nn.BatchNorm2d(2))
    before = {name: value.clone() for name, value in network.state_dict().items() if "running" in name}
    pictures = torch.randn(4, 3, 5, 5) * 3 + 7
    with still_statistics(network):
        inside = network(pictures)
    assert all(torch.equal(network.state_dict()[name], value) for name, value in before.items())
    torch.testing.assert_close(network(pictures), inside)  # it normalised by the batch all the same
    assert not any(torch.equal(network.state_dict()[name], value) for name, value in before.items())
