"""Aquarium Learning's client, version 0.0.67, on a lake: `import lakehouse.aquarium as al`.

Scripts written for the service run with this import and the lake's root as
`api_endpoint`. Names, arguments and checks are the client's; errors are this
package's, which are Exceptions as well.

    client              Client: every call, with its documentation
    calls_…             the calls: on projects, datasets, inferences, media
    frames, inferences  frames, label sets, and the bundles of one call
    labels …            labels added (`labels`) and changed (`label_updates`)
    base_frame, bundles what frames and their bundles have in common
    class_map           class maps and colours
    content, values     checks: of a whole call, of single arguments
    sending             frames become the operations of one upload
    wire_rows, ingest   the client's files: written, and loaded
    issues              issues and work queues, which are segments
    metrics_manager     metrics and scenarios
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
