"""Aquarium Learning's client, version 0.0.67, on a lake: `import lakehouse.aquarium as al`.

Scripts written for the service run with this import and the lake's root as
`api_endpoint`. Names, arguments and checks are the client's; errors are this
package's, which are Exceptions as well.
"""

from lakehouse.aquarium.calls_projects import (
    CustomMetricsDefinition,
    StratifiedMetricsDefinition,
)
from lakehouse.aquarium.class_map import (
    ClassMapEntry,
    ClassMapUpdateEntry,
    LabelClassMap,
    orig_label_color_list,
    tableau_colors,
    turbo_rgb,
    viridis_rgb,
)
from lakehouse.aquarium.client import Client, CollectionClient
from lakehouse.aquarium.frames import (
    LabeledDataset,
    LabeledFrame,
    UnlabeledDataset,
    UnlabeledFrame,
    UpdateGTLabelSet,
)
from lakehouse.aquarium.inferences import (
    Inferences,
    InferencesFrame,
    UpdateInferenceLabelSet,
)
from lakehouse.aquarium.ingest import ingest
from lakehouse.aquarium.issues import (
    Issue,
    IssueElement,
    IssueManager,
    WorkQueue,
    WorkQueueElement,
    WorkQueueManager,
)
from lakehouse.aquarium.metrics_manager import MetricsManager

__all__ = [
    "ClassMapEntry",
    "ClassMapUpdateEntry",
    "Client",
    "CollectionClient",
    "CustomMetricsDefinition",
    "Inferences",
    "InferencesFrame",
    "Issue",
    "IssueElement",
    "IssueManager",
    "LabelClassMap",
    "LabeledDataset",
    "LabeledFrame",
    "MetricsManager",
    "StratifiedMetricsDefinition",
    "UnlabeledDataset",
    "UnlabeledFrame",
    "UpdateGTLabelSet",
    "UpdateInferenceLabelSet",
    "WorkQueue",
    "WorkQueueElement",
    "WorkQueueManager",
    "ingest",
    "orig_label_color_list",
    "tableau_colors",
    "turbo_rgb",
    "viridis_rgb",
]
