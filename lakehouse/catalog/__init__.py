"""Lake, Project, Dataset and InferenceSet: names, settings and delegation."""
