"""CycleGAN's pool of translated pictures: a discriminator is shown old ones too, so that it does not forget them."""

from __future__ import annotations

import torch
from torch import Tensor


class ImagePool:
    """The last translated pictures, from which a discriminator's are drawn (Shrivastava et al., CVPR 2017, §2.3).

    While it is not full every picture is stored, and shown. After that each is shown itself with probability one half;
    else one of the pool is shown, drawn uniformly, and the new one takes its place.

    Args:
        size: pictures that it holds; 50 in CycleGAN, 0 shows every picture as it comes.
        seed: of its draws, which are its own: torch's global random state is neither read nor moved.
    """

    def __init__(self, size: int, seed: int):
        self.size = size
        self.pictures: list[Tensor] = []
        self._draws = torch.Generator().manual_seed(seed)

    def exchange(self, pictures: Tensor) -> Tensor:
        """Pictures to show in place of these.

        Args:
            pictures: ``(N, 3, H, W)``, all of them of one size; stored detached, on their device.

        Returns:
            Pictures of the same shape, without gradient.
        """
        if not self.size:
            return pictures.detach()
        return torch.stack([self._exchange(picture) for picture in pictures.detach()])

    def _exchange(self, picture: Tensor) -> Tensor:
        picture = picture.clone()  # a view would keep its whole batch in memory, and be overwritten with it
        if len(self.pictures) < self.size:
            self.pictures.append(picture)
            return picture
        if torch.rand((), generator=self._draws) < 0.5:
            return picture
        place = int(torch.randint(self.size, (), generator=self._draws))
        shown, self.pictures[place] = self.pictures[place], picture
        return shown

    def state_dict(self) -> dict:
        """The pictures, and the state of the draws."""
        return {"pictures": list(self.pictures), "draws": self._draws.get_state()}

    def load_state_dict(self, state: dict, device: torch.device) -> None:
        """Take back what :meth:`state_dict` gave, the pictures on ``device``."""
        self.pictures = [picture.to(device) for picture in state["pictures"]]
        self._draws.set_state(state["draws"].cpu())
