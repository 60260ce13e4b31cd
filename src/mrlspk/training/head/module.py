"""Module and optimiser of a head run: pooled vectors of a frozen backbone pass through the head, then the loss."""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from mrlspk.config import Config
from mrlspk.losses.matryoshka import MatryoshkaLoss, MatryoshkaLossValue
from mrlspk.models.checkpoints import schema
from mrlspk.models.head import MatryoshkaHead
from mrlspk.models.headed_model import HeadedModel
from mrlspk.training.optimiser import make_optimiser
from mrlspk.training.trained_module import TrainedModule

Trained = Literal["linear", "orthogonal", "none"]


class HeadModule(TrainedModule):
    """The head, then the loss. Everything before the linear layer of the head, its normalisation too, is frozen.

    Args:
        encoder: Its head is trained.
        criterion: The loss with its classifier weights.
        trained: ``linear``: the layer itself; ``orthogonal``: a rotation of its output, kept orthogonal by its
            parametrisation; ``none``: nothing.
    """

    _start: MatryoshkaHead | None

    def __init__(self, encoder: HeadedModel, criterion: MatryoshkaLoss, *, trained: Trained) -> None:
        super().__init__(encoder, criterion)
        self._trained = trained
        self.turn = _identity_rotation(encoder.embed_dim) if trained == "orthogonal" else None
        object.__setattr__(self, "_start", None)

    def forward(self, pooled: Tensor, speaker_index: Tensor, teacher: Tensor | None = None) -> MatryoshkaLossValue:
        """Return the losses of pooled vectors (batch, in_features) whose speakers are (batch,).

        Args:
            pooled: In float32.
            speaker_index: Classes.
            teacher: (batch, any width) embeddings to distil similarities from; None for those of the initial head, if
                the loss has a distillation.
        """
        with torch.autocast(pooled.device.type, enabled=False):
            embedding = self.encoder.project(pooled)
            if self.turn is not None:
                embedding = self.turn(embedding)
            if teacher is None and self._start is not None:
                with torch.no_grad():
                    teacher = self._start(pooled)
            value: MatryoshkaLossValue = self.criterion(embedding, speaker_index, teacher)
        return value

    def set_mode(self, *, backbone_frozen: bool = True) -> None:
        """Freeze all but the trained part of the head and the classifier weights."""
        assert backbone_frozen
        self.encoder.eval()
        self.encoder.requires_grad_(requires_grad=False)
        for parameter in self.encoder.linear_parameters().values():
            parameter.requires_grad_(self._trained == "linear")
        self.criterion.train()

    def set_start(self, head: MatryoshkaHead) -> None:
        """Set the initial head: without a teacher, similarities are distilled from it.

        With ``orthogonal``, the output of this head is rotated.
        """
        if self.turn is not None:
            self.encoder.load_head(head.state_dict())
        if self.criterion.distillation is not None:
            # Not a submodule: it is not trained, counted or saved.
            object.__setattr__(self, "_start", head.eval().requires_grad_(requires_grad=False))

    def current_encoder(self) -> HeadedModel:
        """Return the encoder; a trained rotation is folded into its head."""
        return self.encoder if self.turn is None else self.encoder.with_head(self._rotated_head(), self.encoder.dims)

    def trained_parameters(self) -> list[nn.Parameter]:
        """Return the trained parameters of the head."""
        if self.turn is not None:
            return list(self.turn.parameters())
        return list(self.encoder.linear_parameters().values()) if self._trained == "linear" else []

    def entries(self) -> dict[str, Any]:
        """Return classifier weights, and the state of a trained rotation."""
        return super().entries() | ({schema.TURN: self.turn.state_dict()} if self.turn is not None else {})

    def load_entries(self, contents: Mapping[str, Any]) -> None:
        """Load classifier weights and head; with a trained rotation, load the rotation and keep the initial head."""
        if self.turn is None:
            super().load_entries(contents)
            return
        self.load_criterion(contents)
        self.turn.load_state_dict(contents[schema.TURN])

    @torch.no_grad()
    def _rotated_head(self) -> MatryoshkaHead:
        assert self.turn is not None
        head, turn = self.encoder.copy_head(), self.turn.weight.double()
        head.linear.weight.copy_(turn @ head.linear.weight.double())
        head.linear.bias.copy_(turn @ head.linear.bias.double())
        return head


def _identity_rotation(embed_dim: int) -> nn.Linear:
    turn = nn.Linear(embed_dim, embed_dim, bias=False)
    nn.init.eye_(turn.weight)
    parametrizations.orthogonal(turn)
    return turn


def build_head_optimiser(config: Config, module: HeadModule) -> Optimizer:
    """Return the optimiser of the trained part of a head and the classifier weights; nothing decays towards zero."""
    rate = config.training.learning_rate
    groups = [
        {"params": module.trained_parameters(), "weight_decay": 0.0, "peak_lr": rate},
        {
            "params": list(module.criterion.parameters()),
            "weight_decay": 0.0,
            "peak_lr": rate * config.loss.class_lr_multiplier,
        },
    ]
    return make_optimiser(config.training, groups)


def add_decay_to_start(optimiser: Optimizer, start: Mapping[nn.Parameter, Tensor], *, decay: float) -> RemovableHandle:
    """Make each optimiser step decay parameters towards their initial values, by ``decay`` x learning rate.

    It is AdamW's weight decay (Loshchilov and Hutter 2019, arXiv:1711.05101) towards the start instead of zero (L2-SP,
    Li et al. 2018, arXiv:1802.01483). All parameters decay with the learning rate of the first group: with their own,
    higher rate, classifier weights would decay faster too.

    Args:
        optimiser: Not wrapped.
        start: Initial values by parameter; other parameters do not decay.
        decay: Share of the distance that a step of learning rate 1 takes back.
    """
    targets = {parameter: values.to(parameter) for parameter, values in start.items()}

    @torch.no_grad()
    def decay_to_start(stepped: Optimizer, _arguments: object, _keywords: object) -> None:
        share = min(1.0, decay * stepped.param_groups[0]["lr"])
        for parameter, target in targets.items():
            parameter.lerp_(target, share)

    return optimiser.register_step_post_hook(decay_to_start)
