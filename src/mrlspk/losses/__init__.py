"""Training losses, each usable at every prefix width."""

from mrlspk.losses.build import build_loss
from mrlspk.losses.distillation import SimilarityDistillation
from mrlspk.losses.margin import AAMSoftmax, scheduled_margin, set_class_means
from mrlspk.losses.matryoshka import MatryoshkaLoss, MatryoshkaLossValue
from mrlspk.losses.random_classifier import random_class_loss, random_start_loss
from mrlspk.losses.triplet import TripletLoss

__all__ = [
    "AAMSoftmax",
    "MatryoshkaLoss",
    "MatryoshkaLossValue",
    "SimilarityDistillation",
    "TripletLoss",
    "build_loss",
    "random_class_loss",
    "random_start_loss",
    "scheduled_margin",
    "set_class_means",
]
