"""The vectors of an entry: nearest neighbours, duplicates, leakage; and splits.

    corpus      the vectors of a version, or of a filtered part of it
    index       exact distances, and an index of many vectors by faiss
    query       a search: what is asked, and its answer
    duplicates  frames of one image URL, or with near vectors
    leakage     what two sets of frames have in common
    splits      which frames go to train and which to test, for good

Vectors are compared within one model only. Answers follow from the version alone;
what is cached, in memory and in a local folder, can be deleted at any time.
"""

from lakehouse.similarity.corpus import Corpus
from lakehouse.similarity.duplicates import duplicate_frames
from lakehouse.similarity.index import Metric
from lakehouse.similarity.leakage import Leakage, Side, leakage_between
from lakehouse.similarity.query import Query, VectorLike, Within, search

__all__ = [
    "Corpus",
    "Leakage",
    "Metric",
    "Query",
    "Side",
    "VectorLike",
    "Within",
    "duplicate_frames",
    "leakage_between",
    "search",
]
