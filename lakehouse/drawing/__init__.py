"""Rows and pictures to pixels; no lake."""
