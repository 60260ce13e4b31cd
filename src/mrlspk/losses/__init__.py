"""Training objectives, each usable at every prefix width."""

from mrlspk.losses.build import build_loss
from mrlspk.losses.class_start import set_class_means
from mrlspk.losses.distillation import SimilarityDistillation
from mrlspk.losses.margin import AAMSoftmax
from mrlspk.losses.matryoshka import MatryoshkaLoss, MatryoshkaLossValue
from mrlspk.losses.random_classes import random_class_loss, random_start_loss
from mrlspk.losses.schedule import margin_at
from mrlspk.losses.triplet import TripletLoss

__all__ = [
    "AAMSoftmax",
    "MatryoshkaLoss",
    "MatryoshkaLossValue",
    "SimilarityDistillation",
    "TripletLoss",
    "build_loss",
    "margin_at",
    "random_class_loss",
    "random_start_loss",
    "set_class_means",
]
