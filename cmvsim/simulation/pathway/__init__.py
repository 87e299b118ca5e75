"""The pathway engine: one patient at a time, as SimPy processes that a clinician can read (model.md 18).

It is written from model.md alone, for the reader and as the independent check of the cohort engine. Neither engine calls
the other: they share specifications, chance, and the maps from chance to what is given before CMV (sections 1 to 4, 12
without death, the planned stay, the planned course of letermovir).
"""
