"""Find published models, download them and verify their files."""

from mrlspk.pretrained.fetch import FetchedModel, fetch_model
from mrlspk.pretrained.registry import PublishedModel, find_model, is_published, list_models

__all__ = ["FetchedModel", "PublishedModel", "fetch_model", "find_model", "is_published", "list_models"]
