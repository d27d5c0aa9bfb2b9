"""The model: pure data, no input or output.

Ids, class maps, label types, sensors, metadata types, operations, problems.
"""
