"""The laws of the structural model, one file per section of docs/model.md, each with its specification.

A law's file states its inputs (the Spec) and the maps from standard variates to traits. What unfolds in time is
computed by the engines in ``simulation``.
"""
