"""Similarity: what resembles what, by vectors that came with frames and labels.

    vectors      the vectors of a version in memory, told apart by content
    distances    exact comparison: fast in single precision, right in double
    approximate  many vectors, by faiss
    pairs        all pairs that are near
    corpus       what is searched
    query        what is looked for; what cannot be compared is refused
    search       exact or approximate, in all or in a part
    duplicates   frames that are there twice
    leakage      what two sets of frames have in common
    splits       which frames go to train and which to test, for good

Vectors are compared within one model only. Answers follow from the version alone;
what is kept to be quicker, in memory and in a local folder, can go at any time.
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
