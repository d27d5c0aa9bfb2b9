"""Rows and pictures to pixels, SVG and HTML; no lake.

frames  a picture of a frame with its labels; needs Pillow
"""
