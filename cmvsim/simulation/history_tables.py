"""What happened, as tables: the latent course beside the study's own tables, for those who ask for it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cmvsim.models.history import History


def history_tables(history: History, replicate: int) -> dict[str, pd.DataFrame]:
    """The History of one replicate.

    Returns
    -------
    dict of DataFrame
        ``history_patients``: continuous days of each competing event (empty: not within the horizon), the score and the
        offset of the sampled matrix. ``history_episodes``: onset, peak (log10 IU/mL of plasma), end of plateau, clearance.
    """
    seen, n = history.observation, history.patients
    names = [f"P{index + 1:0{len(str(n))}d}" for index in range(n)]

    def column(values: np.ndarray) -> np.ndarray:
        return np.where(np.isfinite(values) & (values <= history.horizon), values, np.nan)

    score = history.view(history.population.score)[replicate]
    patients = {"patient": names, "immunosuppression_score": score}
    for drug, window in history.toxicity.courses.items():
        patients[f"{drug}_start"] = column(history.view(window.start)[replicate])
        patients[f"{drug}_stop"] = column(history.view(window.stop)[replicate])
    patients |= {
        name: column(getattr(seen, name)[replicate]) for name in ("relapse", "new_therapy", "hct", "withdrawn", "lost")
    }
    patients["death"] = column(history.death[replicate])
    tables = {"history_patients": pd.DataFrame(patients)}
    if history.episodes is not None:
        e = history.episodes
        i, k = np.nonzero(np.isfinite(e.onset[replicate]))
        tables["history_episodes"] = pd.DataFrame(
            {
                "patient": [names[index] for index in i],
                "episode": k + 1,
                "onset": e.onset[replicate][i, k],
                "peak_log10": e.peak[replicate][i, k],
                "plateau_end": column(e.plateau_end[replicate][i, k]),
                "cleared": column(e.clear[replicate][i, k]),
                "matrix_offset_log10": e.offset[replicate][i],
            }
        )
    return tables
