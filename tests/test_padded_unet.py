"""loda2025's padded U-Net against the plain one, and against its decoder written out."""

import pytest
import torch
import torch.nn.functional as F

from labkit.models.registry import create_model


@pytest.fixture(scope="module")
def networks():
    plain, padded = create_model("unet", seed=0), create_model("unet-padded", seed=0)
    padded.load_state_dict(plain.state_dict())
    return plain.eval(), padded.eval()


def images(*size):
    return torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
@pytest.mark.parametrize("size", [(32, 64), (64, 96)])
def test_where_nothing_is_padded_it_is_the_plain_one(networks, size):
    plain, padded = networks
    torch.testing.assert_close(padded(images(*size)).logits, plain(images(*size)).logits, rtol=0, atol=0)


@torch.no_grad()
@pytest.mark.parametrize("size", [(64, 466), (33, 47), (50, 64), (1, 1), (95, 65)])
def test_any_size_against_the_decoder_written_out(networks, size):
    plain, padded = networks
    stages = padded.encoder(images(*size))
    x = stages[5]
    for block, skip in zip(padded.decoder.blocks, [*stages[4:0:-1], None], strict=True):
        x = F.interpolate(x, scale_factor=2, mode="nearest")
        if skip is not None:
            room = torch.zeros(*skip.shape[:2], *x.shape[-2:])
            room[..., : skip.shape[-2], : skip.shape[-1]] = skip
            x = torch.cat([x, room], dim=1)
        x = block.conv2(block.conv1(x))
    expected = padded.segmentation_head(x[..., : size[0], : size[1]])
    logits = padded(images(*size)).logits
    assert logits.shape == (2, 19, *size)
    torch.testing.assert_close(logits, expected)
    assert not torch.allclose(logits, plain(images(*size)).logits)


def test_the_papers_size_and_the_plain_ones_parameters():
    with torch.device("meta"):
        padded = create_model("unet-padded")
    assert sum(p.numel() for p in padded.parameters()) == 32_523_715
    assert padded(torch.empty(2, 3, 256, 466, device="meta")).logits.shape == (2, 19, 256, 466)
