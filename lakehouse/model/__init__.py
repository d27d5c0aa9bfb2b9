"""What rows, names, classes and tables are; no I/O but the contracts, no clock.

contracts    the columns of every table, from tables/*.toml
ids          which texts may be names and ids; new upload ids
class_map    the classes of a project
labels       the types of labels and sensors
metadata     the types of user metadata
operations   rows, and what each of them does to the table
problems     what is wrong with rows
row_hash     hashes of rows, and fingerprints of tables
"""
