"""Fixed pairs and what the float32 reader gives for them: an engine has to come close before it is trusted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Rows = Sequence[Sequence[float]]

# (question, context, text): an answer, none, a near miss and a statement, in both languages.
PAIRS = (
    ("When was the cathedral begun?", "Churches", "The cathedral was begun in 1248 and left without its towers until "
     "the original drawings were found again. It rises 157 metres above the river."),
    ("How tall is the cathedral?", "Churches", "The cathedral was begun in 1248 and left without its towers until "
     "the original drawings were found again. It rises 157 metres above the river."),
    ("Who paid for the new bridge?", "", "Take one tablet twice a day with water. Do not drive if you feel drowsy."),
    ("What is the range of the BR-300?", "BR-200 manual", "The BR-200 has a range of 40 metres. Its battery lasts "
     "ten hours."),
    ("年假最多可以休几天？", "员工手册", "员工每工作满一个月可享受一天半的年假，全年累计不超过十八天，"
     "未休完的部分可以顺延到次年三月底。"),
    ("谁设计了这座大桥？", "员工手册", "员工每工作满一个月可享受一天半的年假，全年累计不超过十八天。"),
    ("打开机柜之前要等多久？十分钟", "维护", "打开机柜之前，请先切断电源，并等待五分钟，"
     "待电容器放电完毕后再进行操作。"),
    ("该河全长多少公里？846公里", "地理", "该河发源于海拔2100米处，全长846公里，向东南流去，流域面积约6万平方公里。"),
)  # fmt: skip
LOWEST_AGREEMENT = 0.97  # correlation of the judgements' logits; 8 bits give .99 and more


def agreement(found: npt.NDArray[np.float32], expected: Rows) -> float:
    """Return the correlation of two tables of judgements' logits, (pairs, 3); -1 where a value is not finite."""
    wanted = np.asarray(expected, np.float32)
    if found.shape != wanted.shape or not np.isfinite(found).all():
        return -1.0
    return float(np.corrcoef(found.ravel(), wanted.ravel())[0, 1])
